#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace tenon {

// A file mapped privately and writable: pages are shared with other processes until written, and
// writes never reach the file. Unmapped when the last owner goes.
class MappedFile {
 public:
  // Throws Error{stage} if the file is missing, unreadable or not a regular file.
  MappedFile(const std::filesystem::path& path, Stage stage);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// The whole file as text. Throws Error{stage}.
std::string read_text_file(const std::filesystem::path& path, Stage stage);

// Writes the parts one after the other to "<path>.tmp-<pid>", syncs and renames: after a failure
// the old file is untouched and no temporary is left. Throws Error{Stage::kOutput}.
void write_file(const std::filesystem::path& path, std::span<const std::string_view> parts);
void write_file(const std::filesystem::path& path, std::string_view text);

}  // namespace tenon
