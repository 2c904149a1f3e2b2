#include "base/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/temporary_files.h"

namespace tenon {
namespace {

constexpr const char* kNothingChanged = "nothing was changed on disk";

[[noreturn]] void fail_to_write(const std::filesystem::path& path, const std::string& reason,
                                const std::string& hint) {
  throw Error{{.stage = Stage::kOutput,
               .message = "cannot write `" + path.string() + "`: " + reason,
               .hint = hint}};
}

[[noreturn]] void fail_to_write(const std::filesystem::path& path, int code) {
  std::string hint = kNothingChanged;
  if (code == ENOSPC || code == EDQUOT || code == EFBIG) {
    hint = "free some space or raise the limit and run again; " + hint;
  }
  fail_to_write(path, std::strerror(code), hint);
}

std::filesystem::path without_links(const std::filesystem::path& path) {
  std::error_code failed;
  if (!std::filesystem::is_symlink(path, failed)) return path;
  std::filesystem::path target = std::filesystem::canonical(path, failed);
  if (failed) {
    fail_to_write(path, "it is a link that leads nowhere: " + failed.message(), kNothingChanged);
  }
  return target;
}

// What stands in the file's place; false if nothing does.
bool regular_file_at(const std::filesystem::path& path, struct stat& facts) {
  if (::lstat(path.c_str(), &facts) != 0) {
    if (errno == ENOENT) return false;
    fail_to_write(path, errno);
  }
  if (S_ISDIR(facts.st_mode)) fail_to_write(path, EISDIR);
  if (!S_ISREG(facts.st_mode)) fail_to_write(path, "it is not a regular file", kNothingChanged);
  return true;
}

// Linux's unnamed file gets its name through /proc.
std::string number_path(const Descriptor& descriptor) {
  return "/proc/self/fd/" + std::to_string(descriptor.number());
}

bool has_no_unnamed_files(int code) {
  return code == EOPNOTSUPP || code == EISDIR || code == EINVAL || code == ENOSYS;
}

bool cannot_keep_existing(int code) { return code == EINVAL || code == ENOSYS; }

}  // namespace

OutputFile::OutputFile(const std::filesystem::path& path, Existing existing)
    : path_(without_links(path)),
      existing_(existing),
      folder_(path_.has_parent_path() ? path_.parent_path() : "."),
      file_(Descriptor()) {
  struct stat facts {};
  if (regular_file_at(path_, facts) && existing_ == Existing::kRefused) {
    fail_to_write(path_, EEXIST);
  }
  remove_strays(folder_);
  open();
}

void OutputFile::open() {
  Descriptor unnamed(::access("/proc/self/fd", X_OK) == 0
                         ? ::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666)
                         : -1);
  if (unnamed.is_open()) {
    file_ = PathLock(std::move(unnamed));  // so that it is no stray once it has a name
    return;
  }
  if (!has_no_unnamed_files(errno) && ::access("/proc/self/fd", X_OK) == 0) {
    fail_to_write(path_, errno);
  }
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    const std::filesystem::path name = folder_ / random_name();
    Descriptor named(
        ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!named.is_open() && errno == EEXIST) continue;
    if (!named.is_open()) fail_to_write(path_, errno);
    file_ = PathLock(std::move(named));
    named_ = name;
    if (file_.is_locked() && file_.holds(name)) return;  // else it was taken for a stray
  }
  fail_to_write(path_, EBUSY);
}

OutputFile::~OutputFile() {
  if (!named_.empty() && file_.holds(named_)) ::unlink(named_.c_str());
}

void OutputFile::keep_private() {
  if (::fchmod(file_.descriptor().number(), S_IRUSR | S_IWUSR) != 0) fail_to_write(path_, errno);
}

void OutputFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_.descriptor().number(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EFAULT) {
      fail_to_write(path_, "a file that it is made of was cut short", kNothingChanged);
    }
    if (count < 0) fail_to_write(path_, errno);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void OutputFile::finish() {
  if (::fsync(file_.descriptor().number()) != 0) fail_to_write(path_, errno);
}

std::filesystem::path OutputFile::temporary() const {
  return named_.empty() ? std::filesystem::path(number_path(file_.descriptor())) : named_;
}

void OutputFile::publish() {
  struct stat old {};
  const bool exists = regular_file_at(path_, old);
  if (exists && existing_ == Existing::kRefused) fail_to_write(path_, EEXIST);
  if (exists) {
    const int number = file_.descriptor().number();
    // Another owner is root's to give; without it the permissions are kept all the same.
    const bool owner_kept = ::fchown(number, old.st_uid, old.st_gid) == 0;
    const mode_t special = owner_kept ? 0 : S_ISUID | S_ISGID;
    if (::fchmod(number, old.st_mode & 07777 & ~special) != 0) fail_to_write(path_, errno);
  }
  put_in_place(exists);
  named_.clear();
  if (const int code = sync_folder(folder_); code != 0) {
    fail_to_write(path_, std::string("its folder cannot be synced: ") + std::strerror(code),
                  "the file is there and whole, but a power cut could lose it");
  }
}

// Without a file to replace, and without a name of its own, it gets its name in one step.
void OutputFile::put_in_place(bool exists) {
  if (named_.empty() && !exists) {
    const std::string unnamed = number_path(file_.descriptor());
    if (::linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) == 0) {
      return;
    }
    if (errno != EEXIST || existing_ == Existing::kRefused) fail_to_write(path_, errno);
  }
  if (named_.empty()) give_name();
  if (existing_ == Existing::kRefused) {
    if (::renameat2(AT_FDCWD, named_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) == 0) {
      return;
    }
    if (!cannot_keep_existing(errno)) fail_to_write(path_, errno);
  }
  if (::rename(named_.c_str(), path_.c_str()) != 0) fail_to_write(path_, errno);
}

void OutputFile::give_name() {
  const std::string unnamed = number_path(file_.descriptor());
  std::filesystem::path name = folder_ / random_name();
  if (::linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    fail_to_write(path_, errno);
  }
  named_ = std::move(name);
}

}  // namespace tenon
