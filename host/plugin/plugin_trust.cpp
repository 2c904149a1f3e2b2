#include "plugin/plugin_trust.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <system_error>

namespace tenon {
namespace {

namespace fs = std::filesystem;

PluginRefusal writable_by_others(const fs::path& path, const fs::path& asked) {
  const std::string above = path == asked ? "" : ", and " + asked.string() + " is reached by it";
  return {"writable-by-others", path.string() + " can be changed by any user of this machine" +
                                    above + "; type: chmod o-w '" + path.string() + "'"};
}

bool is_trusted_owner(const struct stat& facts) {
  struct stat self {};
  return facts.st_uid == 0 || facts.st_uid == ::geteuid() ||
         (::stat("/proc/self/exe", &self) == 0 && facts.st_uid == self.st_uid);
}

PluginRefusal foreign_owner(const fs::path& path) {
  return {"foreign-owner",
          path.string() +
              " belongs to another user; it must belong to you, to root or to tenon's owner"};
}

// A folder on the way to `asked`. In one with the sticky bit, such as /tmp, others can only add
// names, so that `below`, what is next on the way, has to be someone's who is trusted.
std::optional<PluginRefusal> check_folder_above(const fs::path& folder, const fs::path& below,
                                                const fs::path& asked) {
  struct stat facts {};
  struct stat next {};
  if (::stat(folder.c_str(), &facts) != 0) return PluginRefusal{"unreadable", "it cannot be read"};
  if ((facts.st_mode & S_IWOTH) == 0) return std::nullopt;
  if ((facts.st_mode & S_ISVTX) == 0) return writable_by_others(folder, asked);
  if (::lstat(below.c_str(), &next) != 0 || is_trusted_owner(next)) return std::nullopt;
  return foreign_owner(below);
}

std::optional<PluginRefusal> check_folders_above(const fs::path& path, const fs::path& asked) {
  for (fs::path below = path; below != below.parent_path(); below = below.parent_path()) {
    if (auto refusal = check_folder_above(below.parent_path(), below, asked)) return refusal;
  }
  return std::nullopt;
}

}  // namespace

std::optional<PluginRefusal> check_own_trust(const fs::path& path, bool& group_writable) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) return PluginRefusal{"unreadable", "it cannot be read"};
  if ((facts.st_mode & S_IWOTH) != 0) return writable_by_others(path, path);
  if (!is_trusted_owner(facts)) return foreign_owner(path);
  group_writable = (facts.st_mode & S_IWGRP) != 0;
  return std::nullopt;
}

std::optional<PluginRefusal> check_trust(const fs::path& path, bool& group_writable) {
  if (auto refusal = check_own_trust(path, group_writable)) return refusal;
  std::error_code failed;
  const fs::path asked = fs::absolute(path, failed).lexically_normal();
  const fs::path resolved = fs::canonical(path, failed);
  if (failed) return PluginRefusal{"unreadable", "it cannot be read: " + failed.message()};
  // A file in a folder where anyone can add names is no plugin of anyone's in particular.
  struct stat folder {};
  const fs::path holder = resolved.parent_path();
  if (!fs::is_directory(resolved, failed) && ::stat(holder.c_str(), &folder) == 0 &&
      (folder.st_mode & S_IWOTH) != 0) {
    return writable_by_others(holder, path);
  }
  if (auto refusal = check_folders_above(resolved, path)) return refusal;
  return asked == resolved ? std::nullopt : check_folders_above(asked, path);
}

}  // namespace tenon
