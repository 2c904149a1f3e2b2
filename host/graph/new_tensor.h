#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace tenon {

// A tensor of which nothing is set yet. Sizes that cannot be had throw Error(`failure`) whose
// message is the tensor's name, followed by its shape and what is wrong with it.
at::Tensor new_tensor(const std::vector<std::int64_t>& shape, at::ScalarType dtype,
                      Failure failure);

}  // namespace tenon
