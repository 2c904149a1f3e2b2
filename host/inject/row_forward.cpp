// AdaptedModel's forward of a batch whose rows have different adapters.
#include <algorithm>

#include "base/error.h"
#include "base/suggest.h"
#include "inject/adapted_model.h"
#include "inject/mixed_rows.h"
#include "model/input_check.h"

namespace tenon {
namespace {

[[noreturn]] void fail_rows(const std::string& message, const std::string& hint) {
  throw Error({.stage = Stage::kInjection, .message = message, .hint = hint});
}

}  // namespace

void AdaptedModel::check_rows(const std::vector<at::Tensor>& inputs,
                              const std::vector<std::string>& adapters) const {
  const std::int64_t batch = inputs.empty() || inputs[0].dim() == 0 ? 0 : inputs[0].size(0);
  if (batch != static_cast<std::int64_t>(adapters.size())) {
    fail_rows("Length of `adapter_names` should be the same as the number of inputs, but got " +
                  std::to_string(adapters.size()) + " and " + std::to_string(batch) +
                  " respectively.",
              std::string("name one adapter for each row of the first input, or ") + kBaseRows);
  }
  const std::vector<std::string> known = adapter_names();
  std::vector<std::string> unknown;
  for (const std::string& name : adapters) {
    const bool is_known = name == kBaseRows || std::ranges::count(known, name) > 0;
    if (!is_known && std::ranges::count(unknown, name) == 0) unknown.push_back(name);
  }
  if (!unknown.empty()) {
    fail_rows("Trying to infer with non-existing adapter(s): " + join(unknown),
              known.empty() ? "the model has no adapter" : "the model has: " + join(known));
  }
  if (!merged_.empty()) {
    fail_rows("Cannot pass `adapter_names` when there are merged adapters: " + join(merged_),
              "unmerge them first");
  }
}

std::vector<at::Tensor> AdaptedModel::forward_rows(const std::vector<at::Tensor>& inputs,
                                                   const std::vector<std::string>& adapters,
                                                   const RunMode& mode) const {
  check_inputs(model_.inputs, inputs, model_.guards);
  check_rows(inputs, adapters);
  if (!enabled_) return forward(inputs, mode);
  std::vector<RowGroup> groups = group_rows(adapters);
  std::shared_ptr<const RowLayout> layout;
  if (groups.size() > 1) {
    layout = row_layouts_->find(inputs, [&](const auto& tried, const LayerRunner& watch) {
      program_->run(std::vector<c10::IValue>(tried.begin(), tried.end()), {.layers = &watch});
    });
  }
  MixedRows rows(std::move(groups), std::move(layout));
  for (const auto& [module, site] : sites_) rows.add(*site.layer);
  RunMode row_mode = mode;
  row_mode.layers = &rows;
  return forward(inputs, row_mode);
}

}  // namespace tenon
