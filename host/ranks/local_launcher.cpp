#include "ranks/local_launcher.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "ranks/join.h"

namespace tenon {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPassedOn[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
// From a rank's failure on: the others notice it themselves, and rank 0 saves what there is.
constexpr std::chrono::seconds kGrace{30};

sigset_t watched_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : kPassedOn) ::sigaddset(&set, number);
  ::sigaddset(&set, SIGCHLD);
  return set;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> variables_of(int rank, int count, std::uint16_t port) {
  std::vector<std::string> variables;
  for (char** one = environ; *one != nullptr; ++one) variables.emplace_back(*one);
  const auto number = [](int value) { return std::to_string(value); };
  for (const auto& [name, value] : {std::pair<const char*, std::string>{"RANK", number(rank)},
                                    {"LOCAL_RANK", number(rank)},
                                    {"WORLD_SIZE", number(count)},
                                    {"LOCAL_WORLD_SIZE", number(count)},
                                    {"MASTER_ADDR", "127.0.0.1"},
                                    {"MASTER_PORT", number(port)},
                                    {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                    {"TENON_LAUNCHER", kOwnLauncher}}) {
    variables.push_back(std::string(name) + "=" + value);
  }
  return variables;
}

// In a group of its own: Ctrl-C goes to the launcher alone, which passes it on once.
pid_t start(int rank, int count, std::uint16_t port, std::vector<std::string> arguments) {
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  std::vector<std::string> variables = variables_of(rank, count, port);
  pid_t process = 0;
  const int failed = ::posix_spawn(&process, "/proc/self/exe", nullptr, &attributes,
                                   pointers_to(arguments).data(), pointers_to(variables).data());
  ::posix_spawnattr_destroy(&attributes);
  if (failed == 0) return process;
  throw Error(
      {.stage = Stage::kTraining,
       .message = "rank " + std::to_string(rank) + " cannot be started: " + std::strerror(failed),
       .hint = "start fewer processes, or raise the limit (ulimit -u)"});
}

class LocalRanks {
 public:
  ~LocalRanks() { signal_all(SIGKILL); }
  LocalRanks() = default;
  LocalRanks(const LocalRanks&) = delete;
  LocalRanks& operator=(const LocalRanks&) = delete;

  void add(pid_t process) { processes_.push_back(process); }

  // The exit status of all.
  int wait(const sigset_t& signals) {
    while (running() > 0) {
      constexpr timespec kOften{.tv_sec = 0, .tv_nsec = 200'000'000};
      const int number = ::sigtimedwait(&signals, nullptr, &kOften);
      if (number > 0 && number != SIGCHLD) {
        was_asked_ = true;  // whoever is asked to end may take its time to save
        signal_all(number);
      }
      collect();
      end_late_ones();
    }
    return status_;
  }

 private:
  int running() const {
    int count = 0;
    for (const pid_t process : processes_) count += process > 0 ? 1 : 0;
    return count;
  }

  void signal_all(int number) const {
    for (const pid_t process : processes_) {
      if (process > 0) ::kill(process, number);
    }
  }

  void collect() {
    for (std::size_t rank = 0; rank < processes_.size(); ++rank) {
      int ended = 0;
      if (processes_[rank] <= 0 || ::waitpid(processes_[rank], &ended, WNOHANG) <= 0) continue;
      processes_[rank] = 0;
      note(rank, ended);
    }
  }

  void note(std::size_t rank, int ended) {
    constexpr int kSignalStatus = 128;
    const int status = WIFSIGNALED(ended) ? kSignalStatus + WTERMSIG(ended) : WEXITSTATUS(ended);
    if (status == 0) return;
    if (WIFSIGNALED(ended) && !failed_at_) {
      log::error("rank " + std::to_string(rank) + " was ended by signal " +
                 std::to_string(WTERMSIG(ended)) + " (" + ::strsignal(WTERMSIG(ended)) + ")");
    }
    if (failed_at_) return;
    status_ = status;
    failed_at_ = Clock::now();
  }

  void end_late_ones() {
    if (!failed_at_ || was_asked_) return;
    const auto since = Clock::now() - *failed_at_;
    if (since > kGrace && !was_told_) {
      was_told_ = true;
      signal_all(SIGTERM);
    }
    if (since > 2 * kGrace) signal_all(SIGKILL);
  }

  std::vector<pid_t> processes_;  // by rank; 0: ended
  int status_ = 0;
  std::optional<Clock::time_point> failed_at_;
  bool was_asked_ = false;
  bool was_told_ = false;
};

}  // namespace

int run_processes(int count, const std::vector<std::string>& arguments) {
  const sigset_t signals = watched_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // before the store has a thread
  const std::unique_ptr<RankStore> store = keep_rank_store();
  LocalRanks ranks;
  for (int rank = 0; rank < count; ++rank) {
    ranks.add(start(rank, count, store->port(), arguments));
  }
  return ranks.wait(signals);
}

}  // namespace tenon
