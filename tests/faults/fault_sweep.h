#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>

#include "faults/faults.h"

namespace tenon::testing {

// Every file below a folder with its bytes; folders with none.
inline std::map<std::string, std::string> contents_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> contents;
  if (!std::filesystem::exists(folder)) return contents;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string name = std::filesystem::relative(entry.path(), folder).string();
    if (!entry.is_regular_file()) {
      contents[name] = "";
      continue;
    }
    std::ifstream file(entry.path(), std::ios::binary);
    contents[name] = {std::istreambuf_iterator<char>(file), {}};
  }
  return contents;
}

enum class ChildEnd { kDone, kFailed, kKilled };

// Runs `action` in a process of its own, in which the `at`-th call that changes something in `root`
// fails by `code`. `reached`: whether there was such a call.
inline ChildEnd run_with_fault(const std::filesystem::path& root, long at, int code, int flags,
                               const std::function<void()>& action, bool& reached) {
  const pid_t child = ::fork();
  if (child == 0) {
    fault_arm(root.c_str(), at, code, flags);
    int status = 0;
    try {
      action();
    } catch (const std::exception&) {
      status = 1;
    }
    ::_exit(status + (fault_disarm() >= at ? 2 : 0));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  reached = !WIFEXITED(status) || (WEXITSTATUS(status) & 2) != 0;
  if (!WIFEXITED(status)) return ChildEnd::kKilled;
  return (WEXITSTATUS(status) & 1) != 0 ? ChildEnd::kFailed : ChildEnd::kDone;
}

// Calls `trial(at, code)` with the first call failing, then the second, ... by EIO, by ENOSPC, and
// by the end of the process, until `trial` says that there was no such call.
inline void sweep_faults(const std::function<bool(long at, int code)>& trial) {
  constexpr long kMostCalls = 2000;
  for (const int code : {EIO, ENOSPC, static_cast<int>(FAULT_KILL)}) {
    for (long at = 1; at < kMostCalls; ++at) {
      if (!trial(at, code)) break;
    }
  }
}

}  // namespace tenon::testing
