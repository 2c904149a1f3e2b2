#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "base/error.h"

// What is checked of a place before the work whose result goes there.
namespace tenon {

// Something that a command reads, a file or a folder with all that is in it; as messages call it.
struct InputPath {
  std::string what;  // "[model] path"
  std::filesystem::path path;
};

// A file that a command writes.
struct OutputPath {
  std::string what;  // "--outputs"
  std::filesystem::path path;
  Stage stage = Stage::kCommandLine;  // of whoever named it
  bool force = false;                 // an existing file is replaced
};

// Throws Error{output.stage} if the output is one of the inputs, by whatever name.
void require_no_input(const OutputPath& output, std::span<const InputPath> inputs);

// The same, and throws Error{kOutput} for what is not a regular file, for an existing file without
// `force`, and where nothing can be written.
void check_output_file(const OutputPath& output, std::span<const InputPath> inputs);

// Throws Error{kOutput} where the file system of `place`, which need not exist, has less room.
void require_space(const std::filesystem::path& place, std::uint64_t bytes);

// "DIR/adapter" with ".interrupted" after it, or before the ending of a file; with a number behind
// where that is taken.
std::filesystem::path free_place_beside(const std::filesystem::path& place,
                                        const std::string& suffix);

}  // namespace tenon
