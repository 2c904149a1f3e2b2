#pragma once

#include <cstdint>
#include <optional>

#include "config/run_config.h"

namespace tenon {

// At which steps something happens.
class Cadence {
 public:
  // Never, without an interval.
  Cadence(const std::optional<StepInterval>& interval, std::int64_t all_steps,
          std::int64_t steps_per_epoch);
  bool is_due(std::int64_t step) const { return every_ > 0 && step % every_ == 0; }
  bool is_never() const { return every_ == 0; }

 private:
  std::int64_t every_ = 0;
};

}  // namespace tenon
