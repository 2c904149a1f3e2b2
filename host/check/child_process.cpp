#include "check/child_process.h"

#include "check/process_facts.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <system_error>
#include <thread>

namespace tenon {
namespace {

using Clock = std::chrono::steady_clock;

// A message on the pipe: its kind, its length as four bytes, its text. Kinds: s(tep), r(esult),
// c(hanged), e(nd of the body), x (the body threw).
constexpr std::size_t kHeadSize = 5;

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

class Descriptor {
 public:
  explicit Descriptor(int number, const char* what) : number_(number) {
    if (number < 0) fail(what);
  }
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int number() const { return number_; }
  void close() {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }

 private:
  int number_;
};

std::string read_all(int file) {
  constexpr std::size_t kLongest = 16384;
  std::string text(kLongest, '\0');
  const ssize_t size = ::pread(file, text.data(), text.size(), 0);
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text;
}

void append(ChildOutcome& outcome, bool& ended, char kind, std::string text) {
  if (kind == 's') outcome.step = std::move(text);
  if (kind == 'r') outcome.results.push_back(std::move(text));
  if (kind == 'c') outcome.left_changed = std::move(text);
  if (kind == 'e') ended = true;
  if (kind == 'x') {
    ended = true;
    outcome.end = ChildOutcome::End::kThrew;
    outcome.error = std::move(text);
  }
}

// Takes the whole messages off the front of `buffer`.
void take_messages(std::string& buffer, ChildOutcome& outcome, bool& ended) {
  while (buffer.size() >= kHeadSize) {
    std::uint32_t length = 0;
    std::memcpy(&length, buffer.data() + 1, sizeof length);
    if (buffer.size() - kHeadSize < length) return;
    append(outcome, ended, buffer[0], buffer.substr(kHeadSize, length));
    buffer.erase(0, kHeadSize + length);
  }
}

// Reads until the body has ended, the child is gone or the time is over (false).
bool listen(int pipe, Clock::time_point deadline, ChildOutcome& outcome, bool& ended) {
  std::string buffer;
  std::array<char, 4096> chunk{};
  while (!ended) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd wanted{pipe, POLLIN, 0};
    if (::poll(&wanted, 1, static_cast<int>(left)) <= 0) continue;
    const ssize_t size = ::read(pipe, chunk.data(), chunk.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return true;
    buffer.append(chunk.data(), static_cast<std::size_t>(size));
    take_messages(buffer, outcome, ended);
  }
  return true;
}

// Until the child is gone (true) or the time is over.
bool waits(pid_t child, Clock::time_point deadline, int& status) {
  constexpr std::chrono::milliseconds kPause(2);
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

std::string signal_text(int number) {
  const char* text = ::strsignal(number);
  return text != nullptr ? text : "signal " + std::to_string(number);
}

// "terminate called ... what(): boom" and the like, which says more than the signal.
std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \n");
  if (end == std::string::npos) return "";
  const std::size_t start = text.rfind('\n', end);
  return text.substr(start == std::string::npos ? 0 : start + 1,
                     end - (start == std::string::npos ? -1 : start));
}

}  // namespace

void ChildChannel::write(char kind, const std::string& text) const {
  std::string message(kHeadSize, kind);
  const auto length = static_cast<std::uint32_t>(text.size());
  std::memcpy(message.data() + 1, &length, sizeof length);
  message += text;
  for (std::size_t done = 0; done < message.size();) {
    const ssize_t size = ::write(descriptor_, message.data() + done, message.size() - done);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) ::_exit(1);  // nobody listens any more
    done += static_cast<std::size_t>(size);
  }
}

// What the child does; never returns.
struct ChildMain {
  [[noreturn]] static void run(const std::function<void(const ChildChannel&)>& body, int pipe,
                               int out, int err) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    const ChildChannel channel(pipe);
    const ProcessState before;
    try {
      body(channel);
      std::fflush(stdout);
      channel.write('c', before.changed());
      channel.write('e', "");
    } catch (const std::exception& error) {
      channel.write('c', before.changed());
      channel.write('x', error.what());
    } catch (...) {
      channel.write('x', "an exception of unknown type");
    }
    ::_exit(0);  // no destructor of the plugin's may undo what was told
  }
};

std::string ChildOutcome::death() const {
  const std::string doing = step.empty() ? "" : " while " + step;
  const std::string line = last_line(standard_error);
  const std::string said = line.empty() ? "" : ": " + line;
  switch (end) {
    case End::kSignal:
      return "it crashed (" + signal_text(code) + ")" + doing + said;
    case End::kExit:
      return "it ended the process (exit status " + std::to_string(code) + ")" + doing + said;
    case End::kTimeout:
      return "it did not return" + doing;
    case End::kThrew:
      return error;
    case End::kReturned:
      break;
  }
  return "";
}

ChildOutcome run_in_child(const std::function<void(const ChildChannel&)>& body,
                          std::chrono::milliseconds limit) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe");
  const Descriptor reader(ends[0], "pipe");
  Descriptor writer(ends[1], "pipe");
  const Descriptor out(::memfd_create("stdout", MFD_CLOEXEC), "memfd_create");
  const Descriptor err(::memfd_create("stderr", MFD_CLOEXEC), "memfd_create");
  std::fflush(nullptr);  // or the child would print what is still in our buffers
  const pid_t child = ::fork();
  if (child < 0) fail("fork");
  if (child == 0) ChildMain::run(body, writer.number(), out.number(), err.number());
  ::setpgid(child, child);  // here too, so that it is done before anybody kills the group
  writer.close();

  ChildOutcome outcome;
  bool ended = false;
  int status = 0;
  const Clock::time_point deadline = Clock::now() + limit;
  const bool in_time = listen(reader.number(), deadline, outcome, ended) &&
                       (ended || waits(child, deadline, status));
  ::kill(-child, SIGKILL);  // the child too, unless it has been waited for
  if (ended || !in_time) {
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
  }
  if (!in_time) {
    outcome.end = ChildOutcome::End::kTimeout;
  } else if (!ended) {
    outcome.end = WIFSIGNALED(status) ? ChildOutcome::End::kSignal : ChildOutcome::End::kExit;
    outcome.code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  }
  struct stat facts {};
  outcome.wrote_to_stdout = ::fstat(out.number(), &facts) == 0 && facts.st_size > 0;
  outcome.standard_error = read_all(err.number());
  return outcome;
}

}  // namespace tenon
