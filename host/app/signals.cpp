#include "app/signals.h"

#include <unistd.h>

#include <csignal>
#include <cstring>

namespace tenon {
namespace {

// A handler can reach nothing but statics, and may only write and end.
std::atomic<bool> stop_requested{false};
std::atomic<bool> is_held{false};
std::atomic<int> signal_received{0};
std::atomic<bool> answers_json{false};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

const char* text_of(int number) {
  switch (number) {
    case SIGINT:
      return "SIGINT";
    case SIGTERM:
      return "SIGTERM";
    case SIGHUP:
      return "SIGHUP";
    case SIGUSR1:
      return "SIGUSR1";
    default:
      return "a signal";
  }
}

void write_text(int descriptor, const char* text) {
  [[maybe_unused]] const auto written = ::write(descriptor, text, std::strlen(text));
}

extern "C" void take_signal(int number) {
  const bool is_first = signal_received.exchange(number) == 0;
  if (is_held && is_first) {
    stop_requested = true;
    return;
  }
  if (answers_json) {
    write_text(STDOUT_FILENO, R"({"error": {"stage": "signal", "message": "ended by )");
    write_text(STDOUT_FILENO, text_of(number));
    write_text(STDOUT_FILENO, "\", \"hint\": null, \"location\": null}}\n");
  }
  write_text(STDERR_FILENO, "error: ended by ");
  write_text(STDERR_FILENO, text_of(number));
  write_text(STDERR_FILENO, is_held ? " before it was saved\n" : "; nothing was written\n");
  constexpr int kSignalStatus = 128;
  ::_exit(kSignalStatus + number);
}

void handle(int number) {
  struct sigaction action {};
  action.sa_handler = take_signal;
  ::sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(number, &action, nullptr);
}

}  // namespace

void handle_signals(bool json) {
  answers_json = json;
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  handle(SIGINT);
  handle(SIGTERM);
  handle(SIGUSR1);
  struct sigaction hang_up {};
  ::sigaction(SIGHUP, nullptr, &hang_up);
  if (hang_up.sa_handler != SIG_IGN) handle(SIGHUP);
}

SignalsHeld::SignalsHeld() : stop_(&stop_requested) { is_held = true; }
SignalsHeld::~SignalsHeld() { is_held = false; }

int status_of_signal() {
  const int number = signal_received;
  return number == 0 ? 0 : 128 + number;
}

std::string name_of_signal() { return signal_received == 0 ? "" : text_of(signal_received); }

}  // namespace tenon
