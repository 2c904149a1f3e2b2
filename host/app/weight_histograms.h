#pragma once

#include <map>
#include <string>

#include "adapted/adapted_model.h"
#include "app/event_record.h"

namespace tenon {

// Of each trained tensor, by its name in the adapter ("weights/seq.0.ia3_l"; of an adapter
// that is not "default" behind its name) or in the base: its finite values in 30 buckets of one
// width, as torch.utils.tensorboard's add_histogram(bins=30) counts them.
std::map<std::string, Histogram> weight_histograms(const AdaptedModel& model);

}  // namespace tenon
