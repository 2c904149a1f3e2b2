#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <system_error>
#include <vector>

#include "base/path_lock.h"

namespace tenon {

// A file of a folder that is written as one.
struct FolderFile {
  std::string name;  // may stand in folders below: "second/tenon.json"
  std::function<void(const std::filesystem::path&)> write;
};

// A folder that this process alone writes to, from the start of its work to its end: other
// processes are told who has it. All functions throw Error{Stage::kOutput}.
class OutputFolder {
 public:
  // Makes the folder, and those above it, where they are missing. What killed processes left in it
  // or beside it is removed, and a replacement that one of them had begun is finished. `what` is
  // what cannot be saved, for messages: "the adapter".
  OutputFolder(const std::filesystem::path& folder, std::string what);
  // Folders that it made, and nothing was written to, are removed.
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  const std::filesystem::path& path() const { return folder_; }  // as it was given

  // Replaces files of the folder by new ones, all or none of them; other files stay as they are.
  // Wherever the file system has it, a whole folder takes the place of the old one in one step.
  // Elsewhere files are moved into place one after the other, out of a folder in which they stand
  // whole (current_file, finish_replacement).
  void write(const std::vector<FolderFile>& files);

  // Gives the folder a folder of this name with these files, visible whole or not at all; what had
  // the name before goes after that. Nothing else in the folder is touched.
  void put_folder(const std::string& name, const std::vector<FolderFile>& files);
  // Nobody sees a part of it, whenever the process is killed.
  void remove_folder(const std::string& name);

 private:
  void lock();
  bool exchange(const std::vector<FolderFile>& files);

  std::filesystem::path folder_;  // as it was given
  std::filesystem::path real_;    // without links
  std::string what_;
  std::vector<std::filesystem::path> made_;  // outermost first
  PathLock lock_;
};

// Where the newest whole version of a file of the folder stands: in the folder, or in the one that
// a replacement file by file moves it out of.
std::filesystem::path current_file(const std::filesystem::path& folder, const char* name);

// Finishes a replacement file by file whose process was killed, if nobody is at it and it can be
// done.
void finish_replacement(const std::filesystem::path& folder);

// Whether the folder holds anything but what killed processes left.
bool is_unused_folder(const std::filesystem::path& folder, std::error_code& failed);

}  // namespace tenon
