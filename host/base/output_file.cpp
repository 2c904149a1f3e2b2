#include "base/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "base/error.h"

namespace tenon {
namespace {

[[noreturn]] void fail_to_write(const std::filesystem::path& path, int code) {
  std::string hint = "nothing was changed on disk";
  if (code == ENOSPC || code == EDQUOT || code == EFBIG) {
    hint = "free some space or raise the limit and run again; " + hint;
  }
  throw Error{{.stage = Stage::kOutput,
               .message = "cannot write `" + path.string() + "`: " + std::strerror(code),
               .hint = hint}};
}

int open_new(const std::filesystem::path& name) {
  ::unlink(name.c_str());  // of a process that crashed and had the same number
  return ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
}

// Makes the rename itself last through a power cut. The new file is complete and in place by now,
// so a file system that cannot sync a folder is no failure.
void sync_folder_of(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.is_open()) ::fsync(descriptor.number());
}

}  // namespace

OutputFile::OutputFile(std::filesystem::path path)
    : path_(std::move(path)),
      temporary_(path_.string() + ".tmp-" + std::to_string(::getpid())),
      descriptor_(open_new(temporary_)) {
  if (!descriptor_.is_open()) fail_to_write(path_, errno);
}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void OutputFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_.number(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_to_write(path_, errno);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void OutputFile::finish() {
  if (::fsync(descriptor_.number()) != 0) fail_to_write(path_, errno);
  if (!descriptor_.close()) fail_to_write(path_, errno);
}

void OutputFile::publish() {
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_to_write(path_, errno);
  temporary_.clear();
  sync_folder_of(path_);
}

}  // namespace tenon
