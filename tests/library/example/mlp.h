// The model of the examples: PEFT's guide "Custom models" in C++. Nothing of it knows Tenon.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

struct MlpImpl : torch::nn::Module {
  at::Tensor forward(const at::Tensor& x) {
    return at::log_softmax(last(at::relu(second(at::relu(first(x))))), -1);
  }
  torch::nn::Linear first = register_module("first", torch::nn::Linear(20, 200));
  torch::nn::Linear second = register_module("second", torch::nn::Linear(200, 200));
  torch::nn::Linear last = register_module("last", torch::nn::Linear(200, 2));
};
TORCH_MODULE(Mlp);

// Rows that it has something to learn from.
struct Rows {
  at::Tensor x = at::rand({256, 20});
  at::Tensor labels = (x.sum(1) > 10).to(at::kLong);
};
