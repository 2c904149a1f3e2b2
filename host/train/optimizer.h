#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "config/run_config.h"

namespace tenon {

// torch.optim's SGD, Adam and AdamW over a fixed list of parameters, one fused operator a step
// (aten::_fused_sgd_, _fused_adam_, _fused_adamw_). Parameters without a gradient are skipped.
class Optimizer {
 public:
  Optimizer(std::vector<at::Tensor> parameters, const TrainConfig& config);
  void zero_grad();  // drops the gradients
  void step();

 private:
  std::vector<at::Tensor> parameters_;
  TrainConfig config_;
  std::vector<at::Tensor> exp_avgs_;
  std::vector<at::Tensor> exp_avg_sqs_;
  std::vector<at::Tensor> max_exp_avg_sqs_;
  std::vector<at::Tensor> momentum_buffers_;
  std::vector<at::Tensor> state_steps_;
};

}  // namespace tenon
