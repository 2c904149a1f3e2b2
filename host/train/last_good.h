#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <vector>

namespace tenon {

// A copy of what training changes, from the last time the loss was finite. A loss that is not
// finite mostly comes from the update before it, so skipping the next update would save nothing.
// Costs one copy of the trained tensors a step: little for an adapter.
class LastGood {
 public:
  explicit LastGood(std::vector<at::Tensor> tensors);
  void keep();
  void restore() const;
  // Whether one of the first `count` tensors changed since it was kept.
  bool differs(std::size_t count) const;

 private:
  std::vector<at::Tensor> tensors_;
  std::vector<at::Tensor> copies_;
};

}  // namespace tenon
