#include "base/output_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/folder_parts.h"
#include "base/temporary_files.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOldWhole = "what was there before is whole";

// A shell that stands in the folder would stand in a removed one after an exchange.
bool is_current_folder_inside(const fs::path& folder) {
  std::error_code failed;
  const fs::path current = fs::current_path(failed);
  const auto [end, ignored] =
      std::mismatch(folder.begin(), folder.end(), current.begin(), current.end());
  return failed || end == folder.end();
}

// Reasons of the file system why two folders cannot change places: it does not know how, or one of
// them is a mount point or another user's.
bool cannot_exchange(int code) {
  return code == EINVAL || code == ENOSYS || code == EOPNOTSUPP || code == EBUSY || code == EXDEV ||
         code == EPERM || code == EACCES;
}

[[noreturn]] void fail_folder(const fs::path& folder, const std::string& what, int code,
                              const std::string& hint) {
  throw Error({.stage = Stage::kOutput,
               .message = what + ": " + std::strerror(code),
               .hint = hint,
               .location = folder.string()});
}

}  // namespace

OutputFolder::OutputFolder(const fs::path& folder, std::string what)
    : folder_(folder), what_(std::move(what)), lock_(Descriptor()) {
  if (const int code = make_folders(fs::absolute(folder), made_); code != 0) {
    for (auto made = made_.rbegin(); made != made_.rend(); ++made) ::rmdir(made->c_str());
    fail_folder(folder_, what_ + " cannot be saved here: the folder cannot be made", code, "");
  }
  lock();
  remove_strays(real_);
  remove_strays(real_.parent_path());
  if (const int code = finish_replacement_in(real_); code != 0) {
    fail_folder(folder_, "what a killed process began to save here cannot be finished", code, "");
  }
}

void OutputFolder::lock() {
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    std::error_code failed;
    real_ = fs::canonical(folder_, failed);
    if (failed) fail_folder(folder_, what_ + " cannot be saved here", failed.value(), "");
    lock_ = PathLock(real_);
    if (!lock_.is_open()) fail_folder(folder_, what_ + " cannot be saved here", errno, "");
    if (!lock_.is_locked()) {
      const auto holder = lock_.holder();
      throw Error({.stage = Stage::kOutput,
                   .message = what_ + " cannot be saved here: " +
                              (holder ? "process " + std::to_string(*holder) : "another process") +
                              " is writing to this folder",
                   .hint = "wait until it is done, or give another folder",
                   .location = folder_.string()});
    }
    if (lock_.holds(real_)) return;  // else another process has just replaced it
  }
  fail_folder(folder_, what_ + " cannot be saved here", EBUSY, "");
}

OutputFolder::~OutputFolder() {
  for (auto made = made_.rbegin(); made != made_.rend(); ++made) {
    if (::rmdir(made->c_str()) != 0) return;  // something is in it
  }
}

void OutputFolder::write(const std::vector<FolderFile>& files) {
  if (!exchange(files)) replace_one_by_one(real_, files);
}

// Writes a new folder beside the old one, with the old one's other files in it too, and lets them
// change places. False where that cannot be done here.
bool OutputFolder::exchange(const std::vector<FolderFile>& files) {
  const fs::path parent = real_.parent_path();
  if (parent == real_ || ::access(parent.c_str(), W_OK | X_OK) != 0 ||
      is_current_folder_inside(real_)) {
    return false;
  }
  StagingFolder fresh(parent);
  if (fresh.error() != 0) {
    fail_folder(folder_, what_ + " cannot be saved here", fresh.error(), kOldWhole);
  }
  write_parts(fresh.path(), real_, files);
  if (!link_others(real_, fresh.path())) return false;
  if (const int code = sync_folders(fresh.path()); code != 0) {
    fail_folder(folder_, what_ + " cannot be synced", code, kOldWhole);
  }
  if (::renameat2(AT_FDCWD, fresh.path().c_str(), AT_FDCWD, real_.c_str(), RENAME_EXCHANGE) == 0) {
    move_latecomers(fresh.path(), real_);
  } else if (!cannot_exchange(errno)) {
    fail_folder(folder_, what_ + " cannot be put in place", errno, kOldWhole);
  } else if (::rename(fresh.path().c_str(), real_.c_str()) == 0) {  // over an empty one
    fresh.release();
  } else {
    return false;
  }
  lock_ = fresh.take_lock();
  if (const int code = sync_folder(parent); code != 0) {
    fail_folder(folder_, what_ + " is there, but the folder above cannot be synced", code,
                "a power cut could bring the old one back");
  }
  return true;
}

void OutputFolder::put_folder(const std::string& name, const std::vector<FolderFile>& files) {
  const fs::path place = real_ / name;
  StagingFolder fresh(real_);
  if (fresh.error() != 0) {
    fail_folder(folder_ / name, what_ + " cannot be saved here", fresh.error(), kOldWhole);
  }
  write_parts(fresh.path(), place, files);
  if (const int code = sync_folders(fresh.path()); code != 0) {
    fail_folder(folder_ / name, what_ + " cannot be synced", code, kOldWhole);
  }
  std::error_code ignored;
  const auto exchange = [&] {
    return ::renameat2(AT_FDCWD, fresh.path().c_str(), AT_FDCWD, place.c_str(), RENAME_EXCHANGE);
  };
  if (!fs::exists(fs::symlink_status(place, ignored)) || exchange() != 0) {
    if (fs::exists(fs::symlink_status(place, ignored))) remove_folder(name);
    if (::rename(fresh.path().c_str(), place.c_str()) != 0) {
      fail_folder(folder_ / name, what_ + " cannot be put in place", errno, "");
    }
    fresh.release();
  }
  if (const int code = sync_folder(real_); code != 0) {
    fail_folder(folder_ / name, what_ + " is there, but the folder above cannot be synced", code,
                "a power cut could take it back");
  }
}

void OutputFolder::remove_folder(const std::string& name) {
  const fs::path stray = real_ / random_name();
  if (::rename((real_ / name).c_str(), stray.c_str()) != 0) {
    if (errno == ENOENT) return;
    fail_folder(folder_ / name, "it cannot be removed", errno, "");
  }
  std::error_code ignored;
  fs::remove_all(stray, ignored);  // what stays is removed as what killed processes leave
}

}  // namespace tenon
