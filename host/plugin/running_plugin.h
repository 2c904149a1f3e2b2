#pragma once

#include <utility>

namespace tenon {

// Whose code this thread is in, as long as this lives: a plugin that ends the program (exit) from
// there is named, and the status is not 0. Borrows the texts.
class RunningPlugin {
 public:
  RunningPlugin(const char* id, const char* function)
      : outer_(std::exchange(current(), {id, function})) {
    watch_exit();
  }
  ~RunningPlugin() { current() = outer_; }
  RunningPlugin(const RunningPlugin&) = delete;
  RunningPlugin& operator=(const RunningPlugin&) = delete;

 private:
  struct Code {
    const char* id = nullptr;
    const char* function = nullptr;
  };
  // An exit handler can reach nothing but statics, and runs on the thread that asks for the end.
  static Code& current() {
    thread_local Code code;
    return code;
  }
  static void watch_exit();
  static void tell_exit(int status);

  Code outer_;
};

}  // namespace tenon
