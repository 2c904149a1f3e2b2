#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "inject/adapted_model.h"
#include "train/batch_order.h"

namespace tenon {

// PEFT: CordaConfig.
struct CordaConfig {
  std::string corda_method = "ipm";  // "ipm": the largest components; "kpm": the smallest
};

// A Linear that CorDA starts.
struct CordaLayer {
  std::string path;
  std::int64_t rank = 0;
  double scaling = 1;
  at::Tensor matrix;  // its weight as (out, in)
};

struct CordaFactors {
  at::Tensor a;  // (rank, in), float32
  at::Tensor b;  // (out, rank), float32
};

// CorDA's start (Yang et al., 2024; PEFT: tuners/lora/corda.py): the singular vectors of a layer's
// weight times the covariance of its inputs, over one epoch of data. "ipm" takes the largest, which
// the data speak of; "kpm" the smallest, which leaves them alone. The base keeps the rest of its
// weight: matrix - scaling * b * a.
//
// `model` has adapters on all `layers`; only its base runs. One pair of factors for each layer.
// Throws Error{kTraining} for a rank larger than the matrix has and where a number is not finite.
std::vector<CordaFactors> corda_start(const AdaptedModel& model,
                                      const std::vector<CordaLayer>& layers,
                                      const CordaConfig& config, BatchOrder& batches);

}  // namespace tenon
