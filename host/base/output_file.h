#pragma once

#include <filesystem>
#include <string_view>

#include "base/descriptor.h"

namespace tenon {

// A file that is written beside its place and renamed into it when it is whole: until then, and
// after a failure, the old file is untouched, and no temporary is left. Every function throws
// Error{Stage::kOutput}.
class OutputFile {
 public:
  explicit OutputFile(std::filesystem::path path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::string_view bytes);
  // Syncs and closes: what was written can be read at `temporary`.
  void finish();
  const std::filesystem::path& temporary() const { return temporary_; }
  // Puts the finished file in its place.
  void publish();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  Descriptor descriptor_;
};

}  // namespace tenon
