#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "inject/adapted_model.h"
#include "train/batch_order.h"

namespace tenon {

// PEFT: EvaConfig.
struct EvaConfig {
  double rho = 2;     // a layer's rank is at most rho times what the config gives it
  double tau = 0.99;  // singular vectors whose cosine to the last batch's is this have settled
  bool use_label_mask = true;  // leave out positions whose label is label_mask_value
  std::int64_t label_mask_value = -100;
  bool whiten = false;
  bool adjust_scaling_factors = true;  // lora_alpha changes with the rank
};

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
