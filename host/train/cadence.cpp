#include "train/cadence.h"

#include <algorithm>

#include "train/schedule.h"

namespace tenon {

Cadence::Cadence(const std::optional<StepInterval>& interval, std::int64_t all_steps,
                 std::int64_t steps_per_epoch) {
  if (!interval) return;
  every_ = interval->per_epoch ? steps_per_epoch : steps_of_share(interval->steps, all_steps);
  every_ = std::max<std::int64_t>(1, every_);
}

}  // namespace tenon
