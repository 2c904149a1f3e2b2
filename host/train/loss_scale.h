#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "config/train_config.h"

namespace tenon {

// What the loss is multiplied with before its gradient, so that gradients in float16 do not vanish:
// torch.amp.GradScaler's, with the same numbers. It is halved where a gradient overflows, in a step
// that is then left out, and doubled after `loss_scale_window` steps without one.
class LossScale {
 public:
  explicit LossScale(const TrainConfig& config);

  bool is_on() const { return is_on_; }
  double value() const { return value_; }

  // The gradients of the parameters divided by it, in place. A number beside them that is more than
  // 0 where one is not finite; undefined where no parameter has a gradient.
  at::Tensor unscale(const std::vector<at::Tensor>& parameters) const;
  // After each step: whether a gradient was not finite.
  void update(bool is_overflow);

  std::vector<double> state() const;
  void restore(const std::vector<double>& state);

 private:
  bool is_on_;
  float value_;
  std::int64_t window_;
  std::int64_t good_steps_ = 0;  // since it was changed
};

}  // namespace tenon
