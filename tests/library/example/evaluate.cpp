// Evaluate what merge.cpp saved with stock LibTorch: this program is not linked to Tenon.
#include <torch/serialize.h>

#include <iostream>

#include "mlp.h"

int main() {
  const at::NoGradGuard no_grad;
  Mlp model;
  torch::load(model, "merged.pt");
  model->eval();
  std::vector<at::Tensor> wanted;
  torch::load(wanted, "wanted.pt");
  const at::Tensor output = model(wanted[0]);
  const double accuracy = (output.argmax(1) == wanted[1]).to(at::kFloat).mean().item<double>();
  const bool same = at::allclose(output, wanted[2], 1e-4, 1e-5);
  std::cout << "accuracy " << accuracy
            << "\nstock LibTorch gives the adapted output: " << (same ? "yes" : "no") << "\n";
  return same && accuracy > 0.6 ? 0 : 1;
}
