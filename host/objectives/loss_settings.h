#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "config/train_config.h"
#include "objectives/loss_kind.h"
#include "objectives/objectives.h"

namespace tenon {

// A loss, and what changes it. A plain name is the loss of the first output without changes.
struct LossSettings : LossKind {
  LossSettings(std::string loss) : LossKind(std::move(loss)) {}  // NOLINT
  LossSettings(const char* loss) : LossKind(loss) {}             // NOLINT
  // Throws Error{kConfig} for an output that is none.
  explicit LossSettings(const LossTerm& term, std::shared_ptr<const BoundLoss> plugin = nullptr);

  std::size_t output = 0;                   // which of the model's outputs it sees
  double label_smoothing = 0;               // of cross_entropy and causal_lm
  at::Tensor class_weight;                  // float64; undefined: all weigh 1
  bool is_balanced = false;                 // it has no class behind the last that occurs
  at::Tensor pos_weight;                    // of bce_with_logits, float64
  double weight = 1;                        // in the sum of several
  std::shared_ptr<const BoundLoss> plugin;  // whose loss it is; nullptr: the host's own
};

// Those of [train], in their order.
std::vector<LossSettings> loss_settings(const TrainConfig& config,
                                        const Objectives& objectives = {});

// The same with their tensors on a device, where the outputs are that they judge.
std::vector<LossSettings> losses_on(c10::Device device, std::vector<LossSettings> losses);

}  // namespace tenon
