// Adapt a model of one's own, train it in a loop of one's own, save the adapter, merge it.
#include <tenon/adapt.h>
#include <torch/optim/adam.h>

#include <iostream>

#include "mlp.h"

int main() try {
  torch::manual_seed(0);
  Mlp model;
  const Rows rows;
  auto adapted = tenon::adapt(
      model, {rows.x}, {{"target_modules", {"first", "second"}}, {"modules_to_save", {"last"}}});
  std::cout << adapted.trainable_parameters() << "\n";

  torch::optim::Adam optimizer(adapted.parameters(), 2e-3);
  double first_loss = 0;
  double loss = 0;
  for (int step = 0; step < 60; ++step) {
    optimizer.zero_grad();
    const at::Tensor output = at::nll_loss(adapted.forward({rows.x}), rows.labels);
    output.backward();
    optimizer.step();
    loss = output.item<double>();
    if (step == 0) first_loss = loss;
  }
  std::cout << "loss " << first_loss << " -> " << loss << "\n";

  adapted.save("adapter", /*force=*/true);
  adapted.merge_into_model();
  const bool merged = at::allclose(model(rows.x), adapted.forward({rows.x}), 1e-4, 1e-5);
  std::cout << "the model's own forward gives the adapted output: " << (merged ? "yes" : "no")
            << "\n";
  return merged && loss < first_loss ? 0 : 1;
} catch (const tenon::Error& error) {
  std::cerr << error.what() << "\n";
  return error.exit_status();
}
