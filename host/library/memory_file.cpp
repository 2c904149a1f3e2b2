#include "library/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.h"

namespace tenon {

MemoryFile::MemoryFile(const void* data, std::size_t size)
    : file_(::memfd_create("tenon program", MFD_CLOEXEC)) {
  const char* bytes = static_cast<const char*>(data);
  std::size_t written = 0;
  while (file_.number() >= 0 && written < size) {
    const ssize_t count = ::write(file_.number(), bytes + written, size - written);
    if (count < 0 && errno != EINTR) break;
    if (count > 0) written += static_cast<std::size_t>(count);
  }
  if (file_.number() >= 0 && written == size) return;
  throw Error({.stage = Stage::kModel,
               .message = "the program's bytes cannot be copied: " + std::string(strerror(errno))});
}

std::filesystem::path MemoryFile::path() const {
  return "/proc/self/fd/" + std::to_string(file_.number());
}

}  // namespace tenon
