#include "train/last_good.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_copy.h>

#include <utility>

namespace tenon {

LastGood::LastGood(std::vector<at::Tensor> tensors) : tensors_(std::move(tensors)) {
  for (at::Tensor& tensor : tensors_) {
    tensor = tensor.detach();
    copies_.push_back(tensor.clone());
  }
}

void LastGood::keep() {
  const at::NoGradGuard no_grad;
  if (!tensors_.empty()) at::_foreach_copy_(copies_, tensors_);
}

void LastGood::restore() const {
  const at::NoGradGuard no_grad;
  if (!tensors_.empty()) at::_foreach_copy_(tensors_, copies_);
}

}  // namespace tenon
