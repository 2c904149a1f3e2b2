#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/path_lock.h"

// What is written before it has its name, and what is left of it when its process is killed.
namespace tenon {

// ".tenon-" and 16 random digits: no other process picks it, of another container neither.
std::string random_name();
bool is_random_name(std::string_view name);

// Removes the files and folders of such names in `folder` that are this user's and that no living
// process has locked: those of processes that were killed. What cannot be removed stays.
void remove_strays(const std::filesystem::path& folder);

// A fresh folder of a random name, locked, and removed with what is in it when it goes.
class StagingFolder {
 public:
  // Nothing is made where that fails (`error`).
  explicit StagingFolder(const std::filesystem::path& parent);
  ~StagingFolder();
  StagingFolder(const StagingFolder&) = delete;
  StagingFolder& operator=(const StagingFolder&) = delete;

  int error() const { return error_; }  // an errno, 0 if it was made
  const std::filesystem::path& path() const { return path_; }
  // Its lock, which goes with the folder when that gets another name.
  PathLock take_lock() { return std::move(*lock_); }
  // The folder has another name now; nothing is removed.
  void release() { path_.clear(); }

 private:
  std::filesystem::path path_;
  std::optional<PathLock> lock_;
  int error_ = 0;
};

// Makes what is in a folder last through a power cut: an errno, 0 if it does, or where the file
// system has nothing to sync.
int sync_folder(const std::filesystem::path& folder);

}  // namespace tenon
