// Train with Tenon's own loop until rows that it does not train on get no better, and go on later
// from a saved state in a loop of one's own.
#include <tenon/adapt.h>
#include <torch/optim/adamw.h>

#include <iostream>

#include "mlp.h"

int main() try {
  torch::manual_seed(0);
  Mlp model;
  const Rows rows;
  const Rows others;
  auto adapted = tenon::adapt(
      model, {rows.x}, {{"target_modules", {"first", "second"}}, {"modules_to_save", {"last"}}});

  const auto evaluate = [&] {
    const at::NoGradGuard no_grad;
    return at::nll_loss(adapted.forward({others.x}), others.labels).item<double>();
  };
  double best = evaluate();
  const double at_first = best;
  int without_progress = 0;
  const tenon::TrainReport report = tenon::train(adapted, {{rows.x}, rows.labels},
                                                 {{"loss", "nll"},
                                                  {"learning_rate", 5e-3},
                                                  {"lr_scheduler_type", "cosine"},
                                                  {"warmup_steps", 5},
                                                  {"epochs", 100},
                                                  {"batch_size", 64},
                                                  {"max_grad_norm", 1.0}},
                                                 [&](const tenon::TrainStep& step) {
                                                   if (step.step % 4 != 0)
                                                     return true;  // each epoch
                                                   const double loss = evaluate();
                                                   without_progress =
                                                       loss < best ? 0 : without_progress + 1;
                                                   if (loss < best) {
                                                     best = loss;
                                                     adapted.save("best", /*force=*/true);
                                                   }
                                                   return without_progress < 3;  // whether to go on
                                                 });
  std::cout << "stopped after " << report.losses.size()
            << " of 400 steps: " << (report.stopped ? "yes" : "no") << "\n";
  adapted.swap("default", "best");

  // A loop of one's own, with LoRA+'s groups, that can be taken up again.
  std::vector<torch::optim::OptimizerParamGroup> groups;
  for (const tenon::ParameterGroup& group : adapted.parameter_groups({1e-4, 0.01, 16})) {
    groups.emplace_back(
        group.parameters,
        std::make_unique<torch::optim::AdamWOptions>(
            torch::optim::AdamWOptions(group.learning_rate).weight_decay(group.weight_decay)));
  }
  torch::optim::AdamW optimizer(groups);
  const auto steps = [&](int n) {
    for (int i = 0; i < n; ++i) {
      optimizer.zero_grad();
      at::nll_loss(adapted.forward({rows.x}), rows.labels).backward();
      optimizer.step();
    }
    return evaluate();
  };
  steps(5);
  adapted.save_state(optimizer, "state");
  const double once = steps(5);
  adapted.load_state(optimizer, "state");
  std::cout << "the same steps from the saved state: " << (steps(5) == once ? "yes" : "no") << "\n";
  return best < at_first ? 0 : 1;
} catch (const tenon::Error& error) {
  std::cerr << error.what() << "\n";
  return error.exit_status();
}
