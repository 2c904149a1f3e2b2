#pragma once

#include <string>
#include <vector>

#include "operations/merged_model.h"

namespace tenon {

// What rounding a merged weight to its base's format did to it, as root mean squares over its
// numbers.
struct RoundingCost {
  std::string name;
  std::string format;
  double error = 0;   // merged, in full width, against what is written
  double change = 0;  // merged against the base's own: what the adapters did
};

// The state dict of a merged model, with the weights that the base keeps packed packed again
// (model/packed_file.h).
struct RequantizedState {
  NamedTensors tensors;
  std::vector<RoundingCost> costs;  // of what was merged into packed weights
};
RequantizedState requantized_state(const AdaptedModel& model, const MergedModel& merged);

}  // namespace tenon
