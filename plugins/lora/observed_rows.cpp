#include "lora/observed_rows.hpp"

namespace lora {
namespace {

constexpr std::string_view kConv1d = "transformers.pytorch_utils.Conv1D";

// A whole number for each position.
bool is_of_positions(const Tensor& tensor) {
  if (!tensor) return false;
  const tenon_tensor_info info = tensor.info();
  return info.ndim == 2 && (info.dtype <= TENON_DTYPE_INT64 || info.dtype == TENON_DTYPE_BOOL);
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

Tensor used_positions(const tenon::Observed& call, std::optional<std::int64_t> unlabelled) {
  const Tensor used = call.positions();
  const Tensor target = call.target();
  if (!unlabelled || !is_of_positions(target)) return used;
  static const tenon::Operator differs("aten::ne", "Scalar");
  static const tenon::Operator both("aten::logical_and");
  Tensor labelled = differs(target, *unlabelled);
  if (!used) return labelled;
  return used.shape() == labelled.shape() ? both(used, labelled) : used;
}

Tensor used_rows(const Tensor& input, const Tensor& positions) {
  static const tenon::Operator index("aten::index", "Tensor");
  const tenon::Shape shape = input.shape();
  const bool fits =
      positions && shape.size() > 2 && tenon::Shape{shape[0], shape[1]} == positions.shape();
  const Tensor rows = fits ? index(input, std::vector<tenon_tensor>{positions.handle()}) : input;
  return reshape(rows, {-1, shape.back()});
}

bool is_linear(std::string_view type) {
  return type == "torch.nn.Linear" || ends_with(type, ".NonDynamicallyQuantizableLinear") ||
         type == kConv1d;
}

std::size_t in_dimension(std::string_view type) { return type == kConv1d ? 0 : 1; }

Tensor turn_matrix(std::string_view type, const Tensor& weight) {
  return type == kConv1d ? turned(weight) : weight;
}

}  // namespace lora
