#pragma once

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "ranks/c10d.h"
#include "ranks/launch.h"

namespace tenon {

using Milliseconds = std::chrono::milliseconds;
Milliseconds milliseconds(double seconds);

// The store by which the ranks of a run find each other, and leave word when one ends.
class Meeting {
 public:
  // Waits for all ranks. Throws Error{kTraining} that names those that did not come.
  Meeting(const Launch& launch, double seconds);

  const c10::intrusive_ptr<c10d::Store>& store() const { return store_; }

  // False where another rank has left the same word.
  bool leave_word(const std::string& reason);
  // Waits until the others have read it, for a rank with which the store goes.
  void wait_for_readers();
  void note_as_read() { note("read/"); }

  // An exchange failed: throws Error{kTraining} that says by whom, once this rank's connections are
  // closed, so that the others notice too.
  [[noreturn]] void explain(const std::exception& error);

 private:
  c10::intrusive_ptr<c10d::Store> connect(const Launch& launch, double seconds) const;
  void meet(double seconds);
  std::optional<std::string> look_up(const std::string& key, Milliseconds patience);
  bool note(const std::string& what);
  std::vector<std::string> silent_ranks();
  std::string title_of(int rank) const;

  int rank_;
  int count_;
  c10::intrusive_ptr<c10d::Store> store_;
  std::vector<std::string> names_;
};

}  // namespace tenon
