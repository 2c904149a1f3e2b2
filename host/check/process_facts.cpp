#include "check/process_facts.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>
#include <iterator>

namespace tenon {

std::size_t thread_count() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

ProcessState::ProcessState() {
  std::error_code ignored;
  folder_ = std::filesystem::current_path(ignored).string();
  for (int i = 0; i < 3; ++i) streams_[static_cast<std::size_t>(i)] = file_of(i);
}

ProcessState::File ProcessState::file_of(int descriptor) {
  struct stat facts {};
  if (::fstat(descriptor, &facts) != 0) return {};
  return {facts.st_dev, facts.st_ino};
}

std::string ProcessState::changed() const {
  constexpr std::array<const char*, 3> kNames = {"input", "output", "error"};
  for (int i = 0; i < 3; ++i) {
    const auto number = static_cast<std::size_t>(i);
    const File now = file_of(i);
    if (now == streams_[number]) continue;
    return std::string("it ") + (now == File() ? "closed" : "replaced") + " standard " +
           kNames[number];
  }
  std::error_code ignored;
  const std::string folder = std::filesystem::current_path(ignored).string();
  return folder == folder_ ? "" : "it changed the working folder to " + folder;
}

}  // namespace tenon
