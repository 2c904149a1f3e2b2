#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "base/error.h"

namespace tenon {
namespace {

// A divisor, as transformers guards its own.
double at_least_one(std::int64_t steps) {
  return static_cast<double>(std::max<std::int64_t>(1, steps));
}

double half_cosine(double turns) { return 0.5 * (1.0 + std::cos(std::numbers::pi * turns)); }

}  // namespace

std::int64_t steps_of_share(double value, std::int64_t all_steps) {
  return static_cast<std::int64_t>(value >= 1 ? value
                                              : std::ceil(static_cast<double>(all_steps) * value));
}

Schedule::Schedule(const TrainConfig& config, std::int64_t all_steps)
    : config_(config.schedule),
      learning_rate_(config.learning_rate),
      all_steps_(all_steps),
      warmup_(steps_of_share(config.schedule.warmup_steps, all_steps)),
      num_cycles_(config_.num_cycles.value_or(config_.type == "cosine_with_restarts" ? 1 : 0.5)) {
  if (config_.type != "warmup_stable_decay") return;
  stable_ = config_.num_stable_steps.value_or(all_steps_ - warmup_ - config_.num_decay_steps);
  if (stable_ >= 0) return;
  throw Error({.stage = Stage::kConfig,
               .message = "[train] warmup_steps and num_decay_steps are " +
                          std::to_string(warmup_ + config_.num_decay_steps) +
                          " steps together, and the training has " + std::to_string(all_steps_),
               .hint = "lower one of them, or train longer",
               .location = config.location});
}

double Schedule::cosine_with_min_lr(double progress) const {
  const double least = config_.min_lr ? *config_.min_lr / learning_rate_ : *config_.min_lr_rate;
  return std::max(0.0, half_cosine(num_cycles_ * 2.0 * progress) * (1 - least) + least);
}

double Schedule::warmup_stable_decay(std::int64_t done) const {
  const double least = config_.min_lr_ratio;
  if (done < warmup_) {
    const double progress = static_cast<double>(done) / at_least_one(warmup_);
    const double curve = config_.warmup_type == "linear" ? progress
                         : config_.warmup_type == "cosine"
                             ? 0.5 * (1.0 - std::cos(std::numbers::pi * progress))
                             : 1.0 - std::sqrt(1.0 - progress);
    return std::max(0.0, curve * (1.0 - least) + least);
  }
  const std::int64_t decayed = done - warmup_ - stable_;
  if (decayed < 0) return 1;
  if (decayed >= config_.num_decay_steps) return least;
  const double progress = static_cast<double>(decayed) / at_least_one(config_.num_decay_steps);
  const double curve = config_.decay_type == "linear"   ? 1.0 - progress
                       : config_.decay_type == "cosine" ? half_cosine(num_cycles_ * 2.0 * progress)
                                                        : 1.0 - std::sqrt(progress);
  return std::max(0.0, curve * (1.0 - least) + least);
}

double Schedule::factor(std::int64_t step) const {
  const std::string& type = config_.type;
  if (type == "constant" || type == "reduce_lr_on_plateau") return 1;
  const std::int64_t done = step - 1;
  if (type == "warmup_stable_decay") return warmup_stable_decay(done);
  if (done < warmup_) return static_cast<double>(done) / at_least_one(warmup_);
  if (type == "constant_with_warmup") return 1;
  if (type == "inverse_sqrt") {
    const std::int64_t timescale = config_.timescale.value_or(warmup_ > 0 ? warmup_ : 10'000);
    return 1.0 / std::sqrt(static_cast<double>(done + timescale - warmup_) /
                           static_cast<double>(timescale));
  }
  const std::int64_t decay_steps = all_steps_ - warmup_;
  if (type == "linear") {
    return std::max(0.0, static_cast<double>(all_steps_ - done) / at_least_one(decay_steps));
  }
  if (type == "polynomial") {
    if (done > all_steps_) return config_.lr_end / learning_rate_;
    const double left = 1 - static_cast<double>(done - warmup_) / static_cast<double>(decay_steps);
    return ((learning_rate_ - config_.lr_end) * std::pow(left, config_.power) + config_.lr_end) /
           learning_rate_;
  }
  const double progress = static_cast<double>(done - warmup_) / at_least_one(decay_steps);
  if (type == "cosine_with_min_lr") return cosine_with_min_lr(progress);
  if (type == "cosine") return std::max(0.0, half_cosine(num_cycles_ * 2.0 * progress));
  if (progress >= 1) return 0;  // cosine_with_restarts
  return std::max(0.0, half_cosine(std::fmod(num_cycles_ * progress, 1.0)));
}

Plateau::Plateau(const ScheduleConfig& config) : config_(config) {}

bool Plateau::is_better(double value) const {
  if (!state_.best) return !std::isnan(value);
  const double best = *state_.best;
  const bool is_relative = config_.threshold_mode == "rel";
  if (config_.mode == "min") {
    return value < (is_relative ? best * (1.0 - config_.threshold) : best - config_.threshold);
  }
  return value > (is_relative ? best * (config_.threshold + 1.0) : best + config_.threshold);
}

void Plateau::evaluated(double value) {
  if (is_better(value)) {
    state_.best = value;
    state_.bad = 0;
  } else {
    ++state_.bad;
  }
  if (state_.cooldown > 0) {
    --state_.cooldown;
    state_.bad = 0;
  }
  if (state_.bad <= config_.patience) return;
  ++state_.reductions;
  state_.cooldown = config_.cooldown;
  state_.bad = 0;
}

double Plateau::rate(double initial) const {
  double rate = initial;
  for (std::int64_t i = 0; i < state_.reductions; ++i) {
    const double lower = std::max(rate * config_.factor, config_.min_lr.value_or(0));
    if (!(rate - lower > config_.eps)) break;  // nor would the next ones
    rate = lower;
  }
  return rate;
}

}  // namespace tenon
