#pragma once

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

// The guide's MLP, written in both of LibTorch's ways.
namespace tenon {

// Typed members, which forward calls directly.
struct MlpImpl : torch::nn::Module {
  explicit MlpImpl(std::int64_t hidden = 64)
      : first(register_module("first", torch::nn::Linear(20, hidden))),
        second(register_module("second", torch::nn::Linear(hidden, hidden))),
        last(register_module("last", torch::nn::Linear(hidden, 2))) {}

  at::Tensor forward(const at::Tensor& x) {
    return at::log_softmax(last(at::relu(second(at::relu(first(x))))), -1);
  }

  torch::nn::Linear first, second, last;
};
TORCH_MODULE(Mlp);

inline torch::nn::Sequential sequential_mlp(std::int64_t hidden = 64) {
  using torch::nn::Linear;
  using torch::nn::ReLU;
  return torch::nn::Sequential(Linear(20, hidden), ReLU(), Linear(hidden, hidden), ReLU(),
                               Linear(hidden, 2), torch::nn::LogSoftmax(-1));
}

}  // namespace tenon
