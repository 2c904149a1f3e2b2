#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

// Mapped files that other processes change. A file that is cut short under its mapping ends a
// process by SIGBUS; one that is written over gives other numbers without a word.
namespace tenon {

// Notes a mapping of a file as it was when it was mapped, until it goes.
class FileWatch {
 public:
  FileWatch(const std::filesystem::path& path, const struct stat& facts, void* address,
            std::size_t size);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

 private:
  std::size_t slot_;
};

// From now on reading what a mapped file has lost gives zeros, and `is_file_lost` becomes true: the
// work at hand is worth nothing, but what was made before can be saved. For programs of our own.
void survive_lost_files();
// A mapped file was cut short, and what it lost was read.
bool is_file_lost();

// What is wrong with mapped files: the lost one, and those whose size or time of change is another
// than when they were mapped. Empty if nothing is.
std::vector<std::string> changed_files();
// Throws Error{stage} with all of them: "nothing was written".
void require_unchanged_files(Stage stage);

}  // namespace tenon
