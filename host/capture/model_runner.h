#pragma once

#include <tenon/callable_model.h>

#include <string>
#include <vector>

#include "capture/module_state.h"
#include "capture/recording.h"

namespace tenon {

// Runs a model's own forward, each time from the state that its buffers had at first and on copies
// of the inputs, since the model may write into either.
class ModelRunner {
 public:
  // All three must outlive it.
  ModelRunner(const CallableModel& model, ModuleState& state,
              const std::vector<ModelTensor>& tensors)
      : model_(model), state_(state), tensors_(tensors) {}

  // Throws Error{kModel} where the forward throws.
  Recording record_example(const std::vector<at::Tensor>& inputs);
  // Exceptions of the forward pass through.
  Recording record(const std::vector<at::Tensor>& inputs);
  bool accepts(const std::vector<at::Tensor>& inputs);

 private:
  const CallableModel& model_;
  ModuleState& state_;
  const std::vector<ModelTensor>& tensors_;
};

}  // namespace tenon
