#include "base/path_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>

namespace tenon {
namespace {

bool take_lock(const Descriptor& descriptor) {
  return descriptor.is_open() &&
         (::flock(descriptor.number(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK);
}

// A folder, or a regular file: nothing else is opened, and no link is followed.
Descriptor open_to_lock(const std::filesystem::path& path) {
  return Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
}

}  // namespace

PathLock::PathLock(const std::filesystem::path& path) : PathLock(open_to_lock(path)) {}

PathLock::PathLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {
  locked_ = take_lock(descriptor_);
}

bool PathLock::holds(const std::filesystem::path& path) const {
  struct stat own {};
  struct stat named {};
  return descriptor_.is_open() && ::fstat(descriptor_.number(), &own) == 0 &&
         ::lstat(path.c_str(), &named) == 0 && is_same_file(own, named);
}

// Lines of /proc/locks: "1: FLOCK  ADVISORY  WRITE 10537 fe:00:2187460 0 EOF".
std::optional<long> PathLock::holder() const {
  struct stat own {};
  if (::fstat(descriptor_.number(), &own) != 0) return std::nullopt;
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    long process = 0;
    unsigned int major_number = 0;
    unsigned int minor_number = 0;
    unsigned long inode = 0;
    if (std::sscanf(line.c_str(), "%*d: FLOCK %*s %*s %ld %x:%x:%lu", &process, &major_number,
                    &minor_number, &inode) != 4) {
      continue;
    }
    // 0 is a process outside of this one's container.
    if (process > 0 && inode == own.st_ino &&
        gnu_dev_makedev(major_number, minor_number) == own.st_dev) {
      return process;
    }
  }
  return std::nullopt;
}

bool is_same_file(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

}  // namespace tenon
