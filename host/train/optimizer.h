#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "config/run_config.h"
#include "model/tensor_file.h"
#include "train/parameter_role.h"

namespace tenon {

// torch.optim's SGD, Adam and AdamW and PEFT's for second factors over a fixed list of parameters,
// one fused operator a step for all that share their settings (aten::_fused_sgd_, _fused_adam_,
// _fused_adamw_). Parameters without a gradient are skipped.
class Optimizer {
 public:
  // Throws Error{Stage::kConfig} for settings that contradict each other.
  // `roles`: one for each parameter; none where no setting asks for them.
  Optimizer(std::vector<at::Tensor> parameters, const TrainConfig& config,
            std::vector<ParameterRole> roles = {});
  void zero_grad();  // drops the gradients
  // From the next step on each parameter's learning rate is `rate` of that which it began with.
  void change_rates(const std::function<double(double initial)>& rate);
  void step();

  // What it keeps of the parameters, "0.exp_avg" of the first one, and "steps" of each. The
  // tensors are its own, not copies.
  NamedTensors state();
  // Goes on from another's. Throws Error{kAdapter} where it is of other parameters.
  void restore(const NamedTensors& state);

 private:
  // What the optimizer keeps of one parameter; tensors only where the settings need them, made at
  // the parameter's first step.
  struct State {
    std::int64_t steps = 0;
    at::Tensor exp_avg;
    at::Tensor exp_avg_sq;
    at::Tensor max_exp_avg_sq;
    at::Tensor momentum_buffer;

    // Its tensors by torch.optim's names.
    std::array<std::pair<const char*, at::Tensor*>, 4> tensors() {
      return {{{"exp_avg", &exp_avg},
               {"exp_avg_sq", &exp_avg_sq},
               {"max_exp_avg_sq", &max_exp_avg_sq},
               {"momentum_buffer", &momentum_buffer}}};
    }
  };

  struct Rates {
    double learning_rate = 0;
    double weight_decay = 0;
    bool operator==(const Rates&) const = default;
  };

  // Parallel lists for one fused call: same dtype, device, rates and number of steps taken.
  struct FusedCall {
    Rates rates;
    at::ScalarType dtype;
    at::Device device;
    std::int64_t steps;
    std::vector<at::Tensor> parameters;
    std::vector<at::Tensor> gradients;
    std::vector<at::Tensor> exp_avgs;
    std::vector<at::Tensor> exp_avg_sqs;
    std::vector<at::Tensor> max_exp_avg_sqs;
    std::vector<at::Tensor> momentum_buffers;
  };

  void step(std::size_t turn);
  void create_state(State& state, const at::Tensor& parameter) const;
  Rates rates(const ParameterRole& role) const;
  void add_to_call(std::vector<FusedCall>& calls, const Rates& rates, const at::Tensor& parameter,
                   const at::Tensor& gradient, const State& state) const;
  void run_sgd(const FusedCall& call) const;
  void run_adam(const FusedCall& call) const;
  void run_projected(const FusedCall& call) const;

  std::vector<at::Tensor> parameters_;
  std::vector<State> states_;
  // By parameter, how many before it lie where it does: tied ones are stepped one after the other.
  std::vector<std::size_t> turns_;
  TrainConfig config_;
  std::vector<Rates> initial_rates_;
  std::vector<Rates> rates_;  // of the next step
  std::vector<ParameterRole> roles_;
};

}  // namespace tenon
