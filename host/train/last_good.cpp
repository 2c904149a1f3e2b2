#include "train/last_good.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/equal.h>

#include <cstring>
#include <utility>

namespace tenon {

LastGood::LastGood(std::vector<at::Tensor> tensors) : tensors_(std::move(tensors)) {
  for (at::Tensor& tensor : tensors_) {
    tensor = tensor.detach();
    copies_.push_back(tensor.clone());
  }
}

// Each step pays for this, so that no operator is called for what lies in one piece.
void LastGood::keep() {
  const at::NoGradGuard no_grad;
  if (!tensors_.empty() && !tensors_.front().is_cpu()) {
    at::_foreach_copy_(copies_, tensors_);
    return;
  }
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    if (tensors_[i].is_cpu() && tensors_[i].is_contiguous() && copies_[i].is_contiguous()) {
      std::memcpy(copies_[i].mutable_data_ptr(), tensors_[i].const_data_ptr(),
                  tensors_[i].nbytes());
    } else {
      copies_[i].copy_(tensors_[i]);
    }
  }
}

bool LastGood::differs(std::size_t count) const {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < count; ++i) {
    if (!at::equal(tensors_[i], copies_[i])) return true;
  }
  return false;
}

void LastGood::restore() const {
  const at::NoGradGuard no_grad;
  if (!tensors_.empty()) at::_foreach_copy_(tensors_, copies_);
}

}  // namespace tenon
