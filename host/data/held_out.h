#pragma once

#include <cstdint>
#include <utility>

#include "data/data_source.h"

namespace tenon {

// The rows to train on and those that are held out: a share of all, rounded up, drawn by `seed`;
// with `stratify` the same share of each class. Both keep the order of the data. Throws
// Error{kData} where one part would have no rows, or rows belong together.
std::pair<Dataset, Dataset> hold_out(const Dataset& data, double share, std::uint64_t seed,
                                     bool stratify);

}  // namespace tenon
