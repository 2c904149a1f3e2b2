#include "train/batch_loss.h"

#include "interpreter/named_scope.h"
#include "objectives/loss.h"

namespace tenon {

at::Tensor sum_of_losses(const std::vector<LossSettings>& losses,
                         const std::vector<at::Tensor>& outputs, const Batch& batch,
                         const std::vector<double>& shares) {
  const NamedScope scope(kLossScope);
  at::Tensor sum;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    if (shares[i] == 0) continue;
    at::Tensor loss = compute_loss(losses[i], outputs, target_of(batch, i), batch.weights);
    const double factor = shares[i] * losses[i].weight;
    if (factor != 1) loss = loss * factor;
    sum = sum.defined() ? sum + loss : loss;
  }
  return sum;
}

}  // namespace tenon
