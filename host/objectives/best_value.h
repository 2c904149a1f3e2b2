#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "config/run_config.h"

namespace tenon {

// What an evaluation measured: "loss", "accuracy", ...
using Measures = std::map<std::string, double>;

// The best evaluation so far, by one of its measures, and when it is enough (transformers:
// metric_for_best_model, EarlyStoppingCallback).
class BestValue {
 public:
  struct State {
    std::optional<double> value;
    std::int64_t step = 0;
    std::int64_t worse = 0;  // evaluations in a row that improved it by no more than the threshold
    bool operator==(const State&) const = default;
  };

  explicit BestValue(const TrainConfig& config);
  // Whether it is the best so far. Throws Error{kConfig} where nothing of that name was measured.
  bool evaluated(const Measures& measures, std::int64_t step);
  bool is_enough() const;  // early_stopping_patience

  // The measure by which evaluations are compared.
  double value_of(const Measures& measures) const;
  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  std::string metric_;
  bool greater_is_better_;
  std::optional<std::int64_t> patience_;
  double threshold_;
  std::string location_;
  State state_;
};

}  // namespace tenon
