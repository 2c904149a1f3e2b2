#pragma once

#include <atomic>
#include <string>

namespace tenon {

// From now on SIGINT, SIGTERM, SIGHUP and SIGUSR1 (which Slurm warns by) end the program at once
// with a line of what happened and the exit status 128 + signal; a SIGHUP that was ignored (nohup)
// stays so. A pipe that nobody reads any more and a file beyond the size limit are errors of their
// writes, and end nothing.
void handle_signals(bool json);

// While one lives, the first such signal only sets `stop`, so that what is done can be saved; a
// second one ends the program at once. At most one at a time.
class SignalsHeld {
 public:
  SignalsHeld();
  ~SignalsHeld();
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

  const std::atomic<bool>& stop() const { return *stop_; }

 private:
  const std::atomic<bool>* stop_;
};

// The exit status of a program that the signal held back has ended; 0 if none came.
int status_of_signal();
// "SIGINT"; "" if none came.
std::string name_of_signal();

}  // namespace tenon
