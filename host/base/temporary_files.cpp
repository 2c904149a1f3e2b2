#include "base/temporary_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <system_error>
#include <vector>

namespace tenon {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRandomPrefix = ".tenon-";
constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::size_t kRandomDigits = 16;

bool is_own(const fs::path& path) {
  struct stat facts {};
  return ::lstat(path.c_str(), &facts) == 0 && facts.st_uid == ::geteuid();
}

std::vector<fs::path> random_names_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code status;
  for (fs::directory_iterator entry(folder, status), end; !status && entry != end;
       entry.increment(status)) {
    if (is_random_name(entry->path().filename().string())) found.push_back(entry->path());
  }
  return found;
}

}  // namespace

std::string random_name() {
  std::random_device source;
  std::string name(kRandomPrefix);
  while (name.size() < kRandomPrefix.size() + kRandomDigits) {
    for (unsigned int bits = source(), i = 0; i < 8; ++i, bits >>= 4) name += kHexDigits[bits & 15];
  }
  return name;
}

bool is_random_name(std::string_view name) {
  return name.size() == kRandomPrefix.size() + kRandomDigits && name.starts_with(kRandomPrefix) &&
         name.substr(kRandomPrefix.size()).find_first_not_of(kHexDigits) == std::string_view::npos;
}

void remove_strays(const fs::path& folder) {
  for (const fs::path& stray : random_names_in(folder)) {
    if (!is_own(stray)) continue;
    const PathLock lock(stray);
    if (!lock.is_locked() || !lock.holds(stray)) continue;
    std::error_code ignored;
    fs::remove_all(stray, ignored);
  }
}

StagingFolder::StagingFolder(const fs::path& parent) {
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    path_ = parent / random_name();
    if (::mkdir(path_.c_str(), 0777) != 0) {
      error_ = errno;
      path_.clear();
      if (error_ == EEXIST) continue;
      return;
    }
    error_ = 0;
    lock_.emplace(path_);
    // Between the two calls it looked like a stray: whoever cleans up may have it.
    if (lock_->is_locked() && lock_->holds(path_)) return;
    ::rmdir(path_.c_str());
  }
  if (error_ == 0) error_ = EBUSY;
  path_.clear();
}

StagingFolder::~StagingFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

int sync_folder(const fs::path& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor.is_open()) return errno;
  if (::fsync(descriptor.number()) == 0 || errno == EINVAL || errno == EOPNOTSUPP) return 0;
  return errno;
}

}  // namespace tenon
