#include "objectives/best_value.h"

#include <cmath>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/suggest.h"

namespace tenon {
namespace {

constexpr const char* kEvalPrefix = "eval_";

// Of losses and errors less is better; transformers goes by the name's end alone, by which a mean
// squared error would be better the greater it is.
bool is_better_when_greater(const std::string& metric) {
  static const std::set<std::string> errors = {"mse", "rmse", "mae", "perplexity"};
  return !metric.ends_with("loss") && !errors.contains(metric);
}

}  // namespace

BestValue::BestValue(const TrainConfig& config)
    : metric_(config.metric_for_best_model),
      greater_is_better_(true),
      patience_(config.early_stopping_patience),
      threshold_(config.early_stopping_threshold),
      location_(config.location) {
  if (metric_.starts_with(kEvalPrefix)) metric_.erase(0, std::string(kEvalPrefix).size());
  greater_is_better_ = config.greater_is_better.value_or(is_better_when_greater(metric_));
}

double BestValue::value_of(const Measures& measures) const {
  const auto found = measures.find(metric_);
  if (found != measures.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [name, value] : measures) known.push_back(name);
  throw Error({.stage = Stage::kConfig,
               .message = "[train] metric_for_best_model is `" + metric_ +
                          "`, which no evaluation measures",
               .hint = "take one of " + join(known) + ", or add it to [train] metrics",
               .location = location_});
}

bool BestValue::evaluated(const Measures& measures, std::int64_t step) {
  const double value = value_of(measures);
  const auto beats = [&](double other) {
    return greater_is_better_ ? value > other : value < other;
  };
  const bool is_first = !state_.value;
  // A difference of the threshold is none (EarlyStoppingCallback).
  const bool counts =
      is_first || (beats(*state_.value) && std::abs(value - *state_.value) > threshold_);
  state_.worse = counts ? 0 : state_.worse + 1;
  if (std::isnan(value) || (!is_first && !beats(*state_.value))) return false;
  state_.value = value;
  state_.step = step;
  return true;
}

bool BestValue::is_enough() const { return patience_ && state_.worse >= *patience_; }

}  // namespace tenon
