#include "model/linear_layer.h"

namespace tenon {
namespace {

constexpr const char* kConv1d = "transformers.pytorch_utils.Conv1D";

}  // namespace

bool is_linear(const std::string& type) {
  return type == "torch.nn.Linear" || type.ends_with(".NonDynamicallyQuantizableLinear") ||
         type == kConv1d;
}

at::Tensor turn_matrix(const std::string& type, const at::Tensor& weight) {
  return type == kConv1d ? weight.t() : weight;
}

}  // namespace tenon
