#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "adapted/adapted_model.h"
#include "model/tensor_file.h"

namespace tenon {

// What the methods of the adapters that are trained do beside the optimizer: at the gradients,
// after a step, in the loss (tenon/draft/training.h). Borrows the model.
class MethodTraining {
 public:
  explicit MethodTraining(const AdaptedModel& model);
  ~MethodTraining();
  MethodTraining(const MethodTraining&) = delete;
  MethodTraining& operator=(const MethodTraining&) = delete;

  // Whether no method takes part.
  bool is_empty() const;
  // Each throws Error{kTraining} with the plugin's text. `step` from 1.
  void before_step(std::int64_t step, std::int64_t total_steps);
  void after_step(std::int64_t step, std::int64_t total_steps);
  // What is added to the loss; undefined for nothing.
  at::Tensor regulariser(std::int64_t step, std::int64_t total_steps);

  // Of the adapters, what is no parameter and may be changed all the same.
  std::vector<at::Tensor> buffers() const;
  // What the methods keep beyond a step, for checkpoints: by "<adapter>/<name>".
  NamedTensors state() const;
  void restore(const NamedTensors& state);

 private:
  struct Run;
  std::vector<std::unique_ptr<Run>> runs_;
};

}  // namespace tenon
