#pragma once

#include <filesystem>
#include <string_view>

#include "base/existing.h"
#include "base/path_lock.h"

namespace tenon {

// A file without a name, or with a random one beside its place, until it is whole: until then, and
// after a failure, the old file is untouched, and nothing is left. It takes over the old file's
// permissions. Links are followed. Every function throws Error{Stage::kOutput}.
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path, Existing existing = Existing::kReplaced);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // Before anything is written: only its owner will read it.
  void keep_private();
  void write(std::string_view bytes);
  // Syncs: what was written can be read at `temporary` by this process.
  void finish();
  std::filesystem::path temporary() const;
  // Puts the finished file in its place, and syncs that.
  void publish();

 private:
  void open();
  void give_name();
  void put_in_place(bool exists);

  std::filesystem::path path_;
  Existing existing_;
  std::filesystem::path folder_;
  std::filesystem::path named_;  // its name until it has its own; empty if it has none
  PathLock file_;
};

}  // namespace tenon
