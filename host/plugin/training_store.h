#pragma once

#include <ATen/core/Tensor.h>
#include <tenon/draft/training.h>

#include <map>
#include <string>

// What a method keeps beyond a step of its training, by its own names.
struct tenon_training_store {
  std::map<std::string, at::Tensor> tensors;
};

namespace tenon {

// What tenon_host.extension(TENON_TRAINING) answers.
const tenon_training_host& training_host();

}  // namespace tenon
