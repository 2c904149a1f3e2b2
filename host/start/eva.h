#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "config/adapter_config.h"
#include "inject/adapted_model.h"
#include "train/batch_order.h"

namespace tenon {

// A Linear that EVA starts.
struct EvaLayer {
  std::string path;
  std::int64_t rank = 0;  // as the config gives it
  std::int64_t in_features = 0;
};

// EVA's start (Paischer et al., 2024; PEFT: tuners/lora/eva.py): lora_A of each layer is the
// leading singular vectors of its inputs over batches of data, worked out until they have settled.
// The layers' ranks are dealt out anew among them, at most rho times what each had, so that the
// vectors that explain most of the variance are in. Layers that read the same input share one
// decomposition.
//
// `model` has adapters on all `layers`; only its base runs. Returns lora_A by layer, float32
// (rank, in_features), of no rows where no rank is left for the layer. Throws Error{kTraining}
// where a rank is larger than its layer's inputs are wide, where no batch has as many rows as
// singular vectors are wanted, and where they do not settle.
std::vector<at::Tensor> eva_start(const AdaptedModel& model, const std::vector<EvaLayer>& layers,
                                  const EvaConfig& config, std::int64_t r, BatchOrder& batches);

}  // namespace tenon
