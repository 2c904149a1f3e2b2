#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "ranks/ranks.h"

namespace tenon {

// What the ranks of a run tell each other in a step. In a run of one process, nothing.
class StepExchange {
 public:
  StepExchange(std::shared_ptr<Ranks> ranks, std::vector<at::Tensor> parameters);

  // The numbers of each rank, by rank; all give as many.
  std::vector<std::vector<double>> share(const std::vector<double>& own);

  // Adds up the ranks' gradients, all in one buffer, and their losses, in the order of the ranks.
  // A parameter that has no gradient on any rank has none afterwards.
  double sum_gradients(double loss);

 private:
  at::Tensor& buffer();
  void fill(at::Tensor& flat, double loss);
  double take(const at::Tensor& flat);

  std::shared_ptr<Ranks> ranks_;
  std::vector<at::Tensor> parameters_;
  std::int64_t numbers_ = 0;  // of all parameters
  // The gradients; then of each parameter whether it has one; then the loss of each rank.
  at::Tensor flat_;
};

}  // namespace tenon
