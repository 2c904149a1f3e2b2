#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/descriptor.h"

namespace tenon {

// A file that pieces are added to, each whole, such as a log's lines: a reader never sees half of
// one, but after the end of a killed process. All functions throw Error{Stage::kOutput}.
class GrowingFile {
 public:
  // Keeps the first `kept` bytes of what is there, and makes the file where there is none.
  GrowingFile(const std::filesystem::path& path, std::int64_t kept);
  void add(std::string_view piece);
  // What was added so far is on the disk then.
  void sync();
  std::int64_t size() const { return size_; }

 private:
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path path_;
  Descriptor file_;
  std::int64_t size_ = 0;
};

}  // namespace tenon
