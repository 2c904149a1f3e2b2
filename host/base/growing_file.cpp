#include "base/growing_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.h"

namespace tenon {

GrowingFile::GrowingFile(const std::filesystem::path& path, std::int64_t kept)
    : path_(path), file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  struct stat facts {};
  if (!file_.is_open() || ::fstat(file_.number(), &facts) != 0) fail("cannot be opened");
  if (!S_ISREG(facts.st_mode)) {
    throw Error({.stage = Stage::kOutput,
                 .message = "the log is no regular file",
                 .hint = "remove it, or log to another folder",
                 .location = path.string()});
  }
  size_ = facts.st_size;
  if (size_ <= kept) return;
  if (::ftruncate(file_.number(), kept) != 0) fail("cannot be cut to where the run goes on");
  size_ = kept;
}

void GrowingFile::add(std::string_view piece) {
  std::string_view rest = piece;
  while (!rest.empty()) {
    const ssize_t written = ::write(file_.number(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int code = errno;
      // Half of a piece is worth nothing to its readers.
      [[maybe_unused]] const int ignored = ::ftruncate(file_.number(), size_);
      errno = code;
      fail("cannot be written");
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  size_ += static_cast<std::int64_t>(piece.size());
}

void GrowingFile::sync() {
  if (::fsync(file_.number()) != 0 && errno != EINVAL) fail("cannot be synced");
}

void GrowingFile::fail(const char* what) const {
  throw Error({.stage = Stage::kOutput,
               .message = std::string("the log ") + what + ": " + std::strerror(errno),
               .location = path_.string()});
}

}  // namespace tenon
