// PEFT's guide "Custom models" in C++: a model of one's own, adapted without touching its code.
#include <tenon/adapt.h>
#include <torch/nn/modules/linear.h>
#include <torch/optim/adam.h>

#include <iostream>

struct MlpImpl : torch::nn::Module {
  at::Tensor forward(const at::Tensor& x) {
    return at::log_softmax(last(at::relu(second(at::relu(first(x))))), -1);
  }
  torch::nn::Linear first = register_module("first", torch::nn::Linear(20, 200));
  torch::nn::Linear second = register_module("second", torch::nn::Linear(200, 200));
  torch::nn::Linear last = register_module("last", torch::nn::Linear(200, 2));
};
TORCH_MODULE(Mlp);

int main() try {
  torch::manual_seed(0);
  Mlp model;
  const at::Tensor x = at::rand({256, 20});
  const at::Tensor labels = (x.sum(1) > 10).to(at::kLong);

  tenon::AdapterConfig config;
  config.target_modules = {"first", "second"};
  config.modules_to_save = {"last"};
  auto adapted = tenon::adapt(model, {x}, config);
  std::cout << adapted.trainable_parameters() << "\n";

  torch::optim::Adam optimizer(adapted.parameters(), 2e-3);
  double first_loss = 0;
  double loss = 0;
  for (int step = 0; step < 60; ++step) {
    optimizer.zero_grad();
    const at::Tensor output = at::nll_loss(adapted.forward({x}), labels);
    output.backward();
    optimizer.step();
    loss = output.item<double>();
    if (step == 0) first_loss = loss;
  }
  std::cout << "loss " << first_loss << " -> " << loss << "\n";

  adapted.save("adapter", /*force=*/true);
  adapted.merge_into_model();
  const bool merged = at::allclose(model(x), adapted.forward({x}), 1e-4, 1e-5);
  std::cout << "the model's own forward gives the adapted output: " << (merged ? "yes" : "no")
            << "\n";
  return merged && loss < first_loss ? 0 : 1;
} catch (const tenon::Error& error) {
  std::cerr << error.what() << "\n";
  return error.exit_status();
}
