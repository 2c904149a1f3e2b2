#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <optional>

#include "base/descriptor.h"

namespace tenon {

// An exclusive lock on a file or folder, which other processes see, on other sides of a container's
// wall too. It lasts until it goes or its process ends, however that ends.
class PathLock {
 public:
  // Takes the lock on what the path names, which `is_locked` tells; false where another process has
  // it. A file system without locks gives it to everyone. Nothing is open where the path cannot be
  // opened (errno).
  explicit PathLock(const std::filesystem::path& path);
  // On a file that is open already.
  explicit PathLock(Descriptor descriptor);

  bool is_open() const { return descriptor_.is_open(); }
  bool is_locked() const { return locked_; }
  const Descriptor& descriptor() const { return descriptor_; }
  // Whether the path still names what is locked: it may have been replaced or removed meanwhile.
  bool holds(const std::filesystem::path& path) const;
  // The number of the process that has it, where the system tells.
  std::optional<long> holder() const;

 private:
  Descriptor descriptor_;
  bool locked_ = false;
};

bool is_same_file(const struct stat& one, const struct stat& other);

}  // namespace tenon
