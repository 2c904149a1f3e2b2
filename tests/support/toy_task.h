#pragma once

#include <ATen/ATen.h>

#include "train/trainer.h"

namespace tenon::testing {

// y = 2 a - b + 0.5 exactly, for `rows` points.
inline Dataset line_data(std::int64_t rows) {
  Dataset data;
  data.input_names = {"x"};
  data.inputs = {at::arange(rows * 2, at::kFloat).remainder(7).reshape({rows, 2}) / 7};
  const at::Tensor& x = data.inputs[0];
  data.target = x.select(1, 0) * 2 - x.select(1, 1) + 0.5;
  data.rows = rows;
  data.source = "line.csv";
  return data;
}

// `fixed`: what the export fixed dimension 0 to; -1 for none.
inline InputSpec toy_input(std::int64_t fixed = -1) {
  InputSpec input;
  input.name = "x";
  input.checked = true;
  input.dimensions.resize(2);
  input.dimensions[0].fixed = fixed;
  input.dimensions[1].fixed = 2;
  return input;
}

inline TrainConfig toy_config(const std::string& loss, std::int64_t batch_size) {
  TrainConfig config;
  config.loss = loss;
  config.optimizer = "sgd";
  config.learning_rate = 0.5;
  config.batch_size = batch_size;
  return config;
}

// A linear layer that starts at zero.
struct ToyTask {
  at::Tensor weight = at::zeros({1, 2}).requires_grad_();
  at::Tensor bias = at::zeros({1}).requires_grad_();
  TrainingTask task;

  ToyTask() {
    task.forward = [this](const std::vector<at::Tensor>& inputs, bool) {
      return std::vector<at::Tensor>{at::linear(inputs[0], weight, bias)};
    };
    task.parameters = {weight, bias};
    task.inputs = {toy_input()};
  }
};

}  // namespace tenon::testing
