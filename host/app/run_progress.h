#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "train/trainer.h"

namespace tenon {

// A value that follows the last ones, as tqdm smooths: each new one counts for 0.3.
class Smoothed {
 public:
  void add(double value);
  double value() const { return weight_ == 0 ? 0 : sum_ / weight_; }

 private:
  double sum_ = 0, weight_ = 0;
};

// A bar that redraws itself on a terminal, a plain line now and then elsewhere.
class RunProgress {
 public:
  explicit RunProgress(bool shown);
  void operator()(const StepProgress& step);
  // Takes the bar away, so that a line can stand there; the next step draws it again.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  void draw(const StepProgress& step);

  bool shown_;
  bool terminal_;
  bool is_drawn_ = false;
  Smoothed loss_, seconds_, amounts_;  // of a step; rows, or tokens where there are some
  Clock::time_point last_ = Clock::now();
  Clock::time_point last_drawn_;
};

// The bar's line, no wider than `columns`: what has no room is left out, the end first. `left`:
// "0:12".
std::string bar_text(const StepProgress& step, double loss, const std::string& rate,
                     const std::string& left, std::size_t columns);

}  // namespace tenon
