#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace tenon {

// How the child of run_in_child speaks to its parent.
class ChildChannel {
 public:
  explicit ChildChannel(int descriptor) : descriptor_(descriptor) {}

  // What is being done now, for the message if the child dies of it.
  void step(const std::string& text) const { write('s', text); }
  // A result; what was sent arrives even if the child dies later.
  void send(const std::string& text) const { write('r', text); }

 private:
  friend struct ChildMain;
  void write(char kind, const std::string& text) const;

  int descriptor_;
};

struct ChildOutcome {
  enum class End {
    kReturned,  // `body` returned
    kThrew,     // it threw; `error` is the text
    kSignal,    // a signal ended the child
    kExit,      // something in it ended the process
    kTimeout,   // it ran for longer than the limit and was killed
  };
  End end = End::kReturned;
  int code = 0;  // the signal or the exit status
  std::string error;
  std::string step;                  // the last one
  std::vector<std::string> results;  // all that were sent
  std::string left_changed;  // what of the process is not as it was before `body`; "" if nothing
  bool wrote_to_stdout = false;
  std::string standard_error;

  // "it crashed (segmentation fault) while running forward"; "" if the body returned.
  std::string death() const;
};

// Runs `body` in a child process of its own, so that whatever happens there is told and harms
// nothing here. Its standard output and error are caught; it and all that it starts are killed at
// the limit, or when this process ends.
ChildOutcome run_in_child(const std::function<void(const ChildChannel&)>& body,
                          std::chrono::milliseconds limit);

}  // namespace tenon
