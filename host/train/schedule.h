#pragma once

#include <cstdint>
#include <optional>

#include "config/run_config.h"

namespace tenon {

// The steps that `value` means: a share of all, rounded up, where it is below 1 (transformers).
std::int64_t steps_of_share(double value, std::int64_t all_steps);

// What the learning rate of `step` (from 1) is, over the one that training starts with; that of
// transformers' function of the same name. 1 for reduce_lr_on_plateau. Throws Error{kConfig} for
// settings that do not fit the number of steps.
class Schedule {
 public:
  Schedule(const TrainConfig& config, std::int64_t all_steps);
  double factor(std::int64_t step) const;

 private:
  double cosine_with_min_lr(double progress) const;
  double warmup_stable_decay(std::int64_t done) const;

  ScheduleConfig config_;
  double learning_rate_;
  std::int64_t all_steps_;
  std::int64_t warmup_;
  double num_cycles_;
  std::int64_t stable_ = 0;
};

// torch.optim's ReduceLROnPlateau: the rate falls where a value of the evaluations no longer gets
// better.
class Plateau {
 public:
  // All that it knows of the run so far.
  struct State {
    std::optional<double> best;
    std::int64_t bad = 0;       // evaluations in a row that were no better
    std::int64_t cooldown = 0;  // evaluations that do not count yet
    std::int64_t reductions = 0;
    bool operator==(const State&) const = default;
  };

  explicit Plateau(const ScheduleConfig& config);
  void evaluated(double value);
  // The rate that a group which started with `initial` has now.
  double rate(double initial) const;

  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  bool is_better(double value) const;

  ScheduleConfig config_;
  State state_;
};

}  // namespace tenon
