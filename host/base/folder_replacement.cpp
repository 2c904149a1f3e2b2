// A folder whose files are replaced one by one, where whole folders cannot change places:
//   .tenon-0123456789abcdef   the new files, being written; a stray if their process is killed
//   .tenon-saved              the same folder, renamed when they are whole: from now on they count
//   the files themselves      moved out of it one after the other; it goes when it is empty
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <system_error>

#include "base/error.h"
#include "base/folder_parts.h"
#include "base/temporary_files.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSavedFolder = ".tenon-saved";

[[noreturn]] void fail_replacement(const fs::path& folder, const std::string& what, int code,
                                   const std::string& hint) {
  throw Error({.stage = Stage::kOutput,
               .message = what + ": " + std::strerror(code),
               .hint = hint,
               .location = folder.string()});
}

void replace_in(const fs::path& folder, const std::vector<FolderFile>& files) {
  constexpr const char* kOldIsWhole = "what was there before is whole";
  remove_strays(folder);
  StagingFolder fresh(folder);
  if (fresh.error() != 0) {
    fail_replacement(folder, "it cannot be written to", fresh.error(), kOldIsWhole);
  }
  write_parts(fresh.path(), folder, files);
  int code = sync_folder(fresh.path());
  if (code == 0 && ::rename(fresh.path().c_str(), (folder / kSavedFolder).c_str()) != 0) {
    code = errno;
  }
  if (code != 0) fail_replacement(folder, "it cannot be put in place", code, kOldIsWhole);
  fresh.release();
  code = finish_replacement_in(folder);
  if (code != 0) code = finish_replacement_in(folder);  // what fails once may be done at last
  if (code != 0) {
    fail_replacement(folder,
                     "the new files stand whole in .tenon-saved inside, but not all could "
                     "be put in place or synced",
                     code,
                     "run tenon again: it finishes this when it next reads or writes the folder");
  }
}

}  // namespace

void replace_one_by_one(const fs::path& folder, const std::vector<FolderFile>& files) {
  std::map<fs::path, std::vector<FolderFile>> by_folder;
  for (const FolderFile& file : files) {
    const fs::path name(file.name);
    by_folder[name.parent_path()].push_back({name.filename().string(), file.write});
  }
  for (const auto& [inside, parts] : by_folder) {
    std::vector<fs::path> made;
    const fs::path place = inside.empty() ? folder : folder / inside;
    if (const int code = make_folders(place, made); code != 0) {
      fail_replacement(place, "the folder cannot be made", code, "");
    }
    if (const int code = finish_replacement_in(place); code != 0) {
      fail_replacement(place, "what was begun to be saved here cannot be finished", code, "");
    }
    replace_in(place, parts);
  }
}

int finish_replacement_in(const fs::path& folder) {
  const fs::path saved = folder / kSavedFolder;
  int code = 0;
  std::error_code failed;
  std::vector<fs::path> files;
  for (fs::directory_iterator entry(saved, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    files.push_back(entry->path());
  }
  if (failed == std::errc::no_such_file_or_directory) return 0;
  if (failed) return failed.value();
  for (const fs::path& file : files) {
    if (::rename(file.c_str(), (folder / file.filename()).c_str()) != 0) code = errno;
  }
  if (code == 0 && ::rmdir(saved.c_str()) != 0) code = errno;
  return code == 0 ? sync_folder(folder) : code;
}

fs::path current_file(const fs::path& folder, const char* name) {
  std::error_code ignored;
  const fs::path saved = folder / kSavedFolder / name;
  return fs::exists(saved, ignored) ? saved : folder / name;
}

void finish_replacement(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder / kSavedFolder, ignored)) return;
  const fs::path real = fs::canonical(folder, ignored);
  const PathLock lock(real);
  if (lock.is_locked()) finish_replacement_in(real);
}

bool is_unused_folder(const fs::path& folder, std::error_code& failed) {
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    if (!is_random_name(entry->path().filename().string())) return false;
  }
  return !failed;
}

}  // namespace tenon
