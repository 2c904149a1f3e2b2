#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "ranks/ranks.h"

namespace tenon {

// On rank 0 the tensors of all ranks, their rows one after the other in the order of the ranks; on
// the others nothing. A rank without rows may give no tensors. Rank 0 has rows.
std::vector<at::Tensor> collect_rows(Ranks& ranks, std::vector<at::Tensor> own);

}  // namespace tenon
