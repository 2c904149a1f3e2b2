#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/existing.h"

namespace tenon {

class FileWatch;

// A file mapped privately and writable: pages are shared with other processes until written, and
// writes never reach the file. Unmapped when the last owner goes. A small file is copied, so that
// nobody changes it under its reader; of larger ones that is noticed (file_watch.h).
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
  std::unique_ptr<FileWatch> watch_;
};

// What is read as text is a config, a record or an image, and no larger.
constexpr std::size_t kMostConfigBytes = std::size_t{16} << 20U;
constexpr std::size_t kMostTextBytes = std::size_t{1} << 30U;

// The whole file as text. Throws Error{stage}, for a file of more than `most` bytes too.
std::string read_text_file(const std::filesystem::path& path, Stage stage,
                           std::size_t most = kMostTextBytes);

// Writes the parts one after the other as an OutputFile, whole or not at all. Throws
// Error{Stage::kOutput}.
void write_file(const std::filesystem::path& path, std::span<const std::string_view> parts,
                Existing existing = Existing::kReplaced);
void write_file(const std::filesystem::path& path, std::string_view text,
                Existing existing = Existing::kReplaced);

}  // namespace tenon
