#pragma once

#include <vector>

#include "data/data_source.h"

namespace tenon {

// Several files' rows one after the other. Throws Error{kData} where they do not fit together.
Dataset join_datasets(const std::vector<Dataset>& parts);

}  // namespace tenon
