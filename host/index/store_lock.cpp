#include "index/store_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/folder_parts.h"
#include "base/log.h"
#include "index/own_files.h"

namespace tenon {

StoreLock::StoreLock(const std::filesystem::path& data_folder) {
  const auto fail = [&](int code) {
    throw Error({.stage = Stage::kOutput,
                 .message = std::string("plugins cannot be kept here: ") + std::strerror(code),
                 .hint = "XDG_DATA_HOME names another place, whose tenon/plugins is searched then",
                 .location = data_folder.string()});
  };
  std::vector<std::filesystem::path> made;
  if (const int code = make_folders(std::filesystem::absolute(data_folder), made); code != 0) {
    fail(code);
  }
  for (const auto& folder : made) keep_others_out(folder);
  file_ = Descriptor(
      ::open((data_folder / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file_.is_open()) fail(errno);
  if (::flock(file_.number(), LOCK_EX | LOCK_NB) == 0) return;
  if (errno == EWOULDBLOCK) log::info("waiting for another tenon that changes the plugins");
  while (::flock(file_.number(), LOCK_EX) != 0) {
    if (errno == ENOLCK || errno == EOPNOTSUPP) return;  // a file system without locks
    if (errno != EINTR) fail(errno);
  }
}

}  // namespace tenon
