// What adapters of convolutions and transposed convolutions share.
#pragma once

#include <string>

#include "lora/lora.hpp"

namespace lora {

// x (batch, channels, ...) or (channels, ...) by a kernel of one point.
inline tenon::Tensor pointwise(const tenon::Tensor& x, const tenon::Tensor& kernel,
                               std::int64_t groups) {
  static const tenon::Operator conv1d("aten::conv1d");
  static const tenon::Operator conv2d("aten::conv2d");
  static const tenon::Operator conv3d("aten::conv3d");
  const std::size_t dimensions = kernel.shape().size() - 2;
  const tenon::Operator& conv = dimensions == 1 ? conv1d : dimensions == 2 ? conv2d : conv3d;
  const tenon::Shape ones(dimensions, 1);
  const tenon::Shape zeros(dimensions, 0);
  return conv(x, kernel, tenon::None{}, ones, zeros, ones, groups);
}

// Refuses what no convolution's adapter can be: other than one input and output, a rank that the
// groups do not divide.
inline void check_groups(const tenon::Setup& setup) {
  const std::size_t dimensions = setup.base().weight("weight").shape.size();
  if (dimensions < 3 || dimensions > 5) {
    throw tenon::Failure(TENON_UNSUPPORTED, "the weight is not a kernel of 1 to 3 dimensions");
  }
  if (setup.base().n_inputs() != 1 || setup.base().n_outputs() != 1) {
    throw tenon::Failure(TENON_UNSUPPORTED, "the layer does not map one tensor to one tensor");
  }
  const auto groups = setup.base().attribute<std::int64_t>("groups");
  if (layer_rank(setup) % groups != 0) {
    throw tenon::Failure(TENON_UNSUPPORTED,
                         "r = " + std::to_string(layer_rank(setup)) +
                             " is not a multiple of groups = " + std::to_string(groups) +
                             "; give it a rank in rank_pattern");
  }
}

}  // namespace lora
