#include "base/folder_parts.h"

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

namespace fs = std::filesystem;

// More than that is no adapter's folder, and would take long to link.
constexpr int kMostLinks = 10'000;

bool is_there(const fs::path& path, struct stat& facts) {
  return ::lstat(path.c_str(), &facts) == 0;
}

// Permissions and, where it may be given, the owner.
void look_like(const fs::path& path, const struct stat& old) {
  const bool owner_kept = ::lchown(path.c_str(), old.st_uid, old.st_gid) == 0;
  const mode_t special = owner_kept ? 0 : S_ISUID | S_ISGID;
  ::chmod(path.c_str(), old.st_mode & 07777 & ~special);
}

// A failure in `target` is told of the place that the user knows.
[[noreturn]] void throw_for(const fs::path& old, const fs::path& target, Failure failure) {
  for (std::string* text : {&failure.message, &failure.location}) {
    const std::size_t at = text->find(target.string());
    if (at != std::string::npos) text->replace(at, target.string().size(), old.string());
  }
  throw Error(std::move(failure));
}

// The folders of a name inside `target`, as they are in `old`.
void make_folders_of(const fs::path& target, const fs::path& old, const fs::path& name) {
  fs::path inside;
  for (const fs::path& part : name.parent_path()) {
    inside /= part;
    if (::mkdir((target / inside).c_str(), 0777) != 0 && errno != EEXIST) {
      throw Error({.stage = Stage::kOutput,
                   .message = std::string("the folder cannot be made: ") + std::strerror(errno),
                   .location = (old / inside).string()});
    }
  }
}

bool link_others_of(const fs::path& old, const fs::path& target, int& links) {
  std::error_code failed;
  for (fs::directory_iterator entry(old, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const fs::path& path = entry->path();
    const fs::path twin = target / path.filename();
    if (is_random_name(path.filename().string())) continue;
    if (++links > kMostLinks) return false;
    struct stat facts {};
    struct stat other {};
    if (!is_there(path, facts)) continue;  // it went meanwhile
    if (S_ISDIR(facts.st_mode)) {
      if (::mkdir(twin.c_str(), 0700) != 0 && errno != EEXIST) return false;
      if (!link_others_of(path, twin, links)) return false;
      look_like(twin, facts);
    } else if (!is_there(twin, other) &&
               ::linkat(AT_FDCWD, path.c_str(), AT_FDCWD, twin.c_str(), 0) != 0) {
      return false;
    }
  }
  return !failed;
}

int sync_path_above(const fs::path& folder) { return sync_folder(folder.parent_path()); }

}  // namespace

int make_folders(const fs::path& folder, std::vector<fs::path>& made) {
  struct stat facts {};
  if (::stat(folder.c_str(), &facts) == 0) return S_ISDIR(facts.st_mode) ? 0 : ENOTDIR;
  if (errno != ENOENT) return errno;
  if (const int code = make_folders(folder.parent_path(), made); code != 0) return code;
  if (::mkdir(folder.c_str(), 0777) != 0) {
    const int code = errno;
    return code == EEXIST && ::stat(folder.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode) ? 0
                                                                                           : code;
  }
  made.push_back(folder);
  return sync_path_above(folder);
}

void write_parts(const fs::path& target, const fs::path& old,
                 const std::vector<FolderFile>& files) {
  for (const FolderFile& file : files) {
    make_folders_of(target, old, file.name);
    try {
      file.write(target / file.name);
    } catch (const Error& error) {
      throw_for(old, target, error.failure());
    }
    struct stat facts {};
    if (is_there(old / file.name, facts) && S_ISREG(facts.st_mode)) {
      look_like(target / file.name, facts);
    }
  }
}

bool link_others(const fs::path& old, const fs::path& target) {
  int links = 0;
  struct stat facts {};
  if (!is_there(old, facts) || !link_others_of(old, target, links)) return false;
  look_like(target, facts);
  return true;
}

void move_latecomers(const fs::path& old, const fs::path& now) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(old, ignored)) {
    const fs::path twin = now / entry.path().filename();
    struct stat facts {};
    struct stat other {};
    if (!is_there(entry.path(), facts)) continue;
    if (is_random_name(entry.path().filename().string())) continue;
    if (!is_there(twin, other)) {
      ::renameat2(AT_FDCWD, entry.path().c_str(), AT_FDCWD, twin.c_str(), RENAME_NOREPLACE);
    } else if (S_ISDIR(facts.st_mode) && S_ISDIR(other.st_mode)) {
      move_latecomers(entry.path(), twin);
    }
  }
}

int sync_folders(const fs::path& folder) {
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    std::error_code unknown;
    if (!fs::is_directory(entry->symlink_status(unknown))) continue;
    if (const int code = sync_folders(entry->path()); code != 0) return code;
  }
  return failed ? failed.value() : sync_folder(folder);
}

}  // namespace tenon
