#include "data/row_lengths.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/ne.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "base/error.h"
#include "objectives/cross_entropy.h"

namespace tenon {
namespace {

constexpr const char* kMask = "attention_mask";

[[noreturn]] void fail_lengths(const std::string& message, const std::string& hint,
                               const std::string& location = "") {
  throw Error{{.stage = Stage::kTraining, .message = message, .hint = hint, .location = location}};
}

std::size_t find_mask(const std::vector<InputSpec>& inputs) {
  const auto found = std::find_if(inputs.begin(), inputs.end(), [](const InputSpec& input) {
    return input.name == kMask || input.argument_name == kMask;
  });
  if (found == inputs.end()) {
    fail_lengths(
        "group_by_length needs a model with an input `attention_mask`, which tells the rows' ends",
        "leave [train] group_by_length out");
  }
  return static_cast<std::size_t>(found - inputs.begin());
}

// The place behind the last true element of each row.
at::Tensor ends_of(const at::Tensor& kept) {
  const at::Tensor places = at::arange(1, kept.size(1) + 1, at::kLong);
  return (kept * places).amax(1);
}

const DimensionSpec& width_of(const InputSpec& mask) {
  const bool has_width = mask.dimensions.size() == 2;
  if (!has_width || mask.dimensions[1].symbol.empty()) {
    fail_lengths(has_width && mask.dimensions[1].fixed >= 0
                     ? "group_by_length cuts padding, but dimension 1 of `" + mask.name +
                           "` was fixed to " + std::to_string(mask.dimensions[1].fixed) +
                           " when this model was exported"
                     : "group_by_length cuts padding, but dimension 1 of `" + mask.name +
                           "` is no free size of the exported model",
                 "export with a dynamic dimension 1, or leave [train] group_by_length out");
  }
  return mask.dimensions[1];
}

}  // namespace

RowLengths::RowLengths(const Dataset& data, const std::vector<InputSpec>& inputs) {
  const std::size_t mask_input = find_mask(inputs);
  const DimensionSpec& width = width_of(inputs[mask_input]);
  const at::Tensor& mask = data.inputs[mask_input];
  width_ = mask.size(1);
  shortest_ = std::max<std::int64_t>(1, width.minimum);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    for (std::size_t d = 1; d < inputs[i].dimensions.size(); ++d) {
      if (inputs[i].dimensions[d].symbol == width.symbol) {
        widths_.push_back({i, static_cast<std::int64_t>(d)});
      }
    }
  }
  const at::Tensor ends = ends_of(at::ne(mask, 0));
  lengths_.assign(ends.const_data_ptr<std::int64_t>(),
                  ends.const_data_ptr<std::int64_t>() + ends.numel());
  target_has_width_ =
      data.target && data.target->dim() >= 2 && data.target->size(1) == mask.size(1);
  if (!target_has_width_ || data.target->dim() != 2 || data.target->is_floating_point()) return;
  const at::Tensor judged_behind = ends_of(at::ne(*data.target, kIgnoredClass)) > ends;
  if (judged_behind.any().item<bool>()) {
    fail_lengths(
        "row " + std::to_string(judged_behind.nonzero()[0][0].item<std::int64_t>()) +
            " has labels behind its end, where `attention_mask` is 0: group_by_length would leave "
            "them out of the loss",
        "set the labels of padding to -100", data.source);
  }
}

void RowLengths::cut_padding(Batch& batch, const std::vector<std::int64_t>& rows) const {
  std::int64_t longest = shortest_;
  for (const std::int64_t row : rows) {
    longest = std::max(longest, lengths_[static_cast<std::size_t>(row)]);
  }
  const auto cut = [&](at::Tensor& tensor, std::int64_t dimension) {
    if (longest < tensor.size(dimension)) {
      tensor = tensor.narrow(dimension, 0, longest).contiguous();
    }
  };
  for (const Width& width : widths_) cut(batch.inputs[width.input], width.dimension);
  if (target_has_width_) cut(*batch.target, 1);
  for (at::Tensor& target : batch.other_targets) {
    if (target.defined() && target.dim() >= 2 && target.size(1) == width_) cut(target, 1);
  }
}

}  // namespace tenon
