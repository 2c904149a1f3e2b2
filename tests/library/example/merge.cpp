// Merge an adapter into the model's own weights and save it as LibTorch saves any model;
// evaluate.cpp needs nothing else.
#include <tenon/adapt.h>
#include <torch/serialize.h>

#include <iostream>

#include "mlp.h"

int main() try {
  torch::manual_seed(1);
  Mlp model;
  const Rows rows;
  auto adapted = tenon::adapt(model, {rows.x}, {{"target_modules", {"first", "second"}}});
  tenon::train(adapted, {{rows.x}, rows.labels},
               {{"loss", "nll"}, {"learning_rate", 5e-3}, {"epochs", 20}, {"batch_size", 64}});
  adapted.eval();
  const at::NoGradGuard no_grad;
  const at::Tensor output = adapted.forward({rows.x});
  adapted.merge_into_model();
  torch::save(model, "merged.pt");
  torch::save(std::vector<at::Tensor>{rows.x, rows.labels, output}, "wanted.pt");
  return 0;
} catch (const tenon::Error& error) {
  std::cerr << error.what() << "\n";
  return error.exit_status();
}
