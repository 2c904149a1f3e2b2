#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "adapted/adapted_model.h"

namespace tenon {

// What an optimizer that treats two factors differently must know of a parameter.
struct ParameterRole {
  bool is_up = false;         // the second factor, or of one dimension (the faster group)
  bool is_embedding = false;  // a matrix of an embedding's pair
  bool decays = true;         // neither a bias nor a LayerNorm's
  double learning_rate = 1;   // times that of its group
  double weight_decay = 1;    // times that of its group
  at::Tensor down;            // of a second factor: the first
  double scaling = 1;         // of a second factor: its layer's
};

// One for each of `parameters`, which are trainable tensors of the model.
std::vector<ParameterRole> parameter_roles(const AdaptedModel& model,
                                           const std::vector<at::Tensor>& parameters);

// `second_factors_only` trains no first factor (Zhang et al. 2023, arXiv:2308.03303). Throws
// Error{kConfig}, in the optimizer's name, for adapters that have other pairs than a matrix's.
void freeze_first_factors(const AdaptedModel& model, const std::string& optimizer);

}  // namespace tenon
