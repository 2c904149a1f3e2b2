// AdaptedModel's forward of a batch whose rows have different adapters.
#include <algorithm>
#include <memory>
#include <mutex>

#include "adapted/adapted_model.h"
#include "adapted/mixed_rows.h"
#include "base/error.h"
#include "base/suggest.h"
#include "graph/upload.h"
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
  std::vector<RowGroup> groups = group_rows(adapters);
  const bool is_mixed = groups.size() > 1;
  const auto rows = std::make_shared<MixedRows>(std::move(groups));
  RunMode row_mode = mode;
  Running running;
  {
    const std::shared_lock lock(*set_);
    check_rows(inputs, adapters);
    running = running_;
    row_mode.layers = enabled_ ? std::shared_ptr<const LayerRunner>(rows) : running.layers;
    if (enabled_) {
      for (const auto& [module, site] : sites_) rows->add(*site.layer);
    }
  }
  if (is_mixed && row_mode.layers == rows) {
    rows->set_layout(
        running.row_layouts->find(inputs, [&](const auto& tried, const LayerRunner& watch) {
          // Nobody's to keep: it stays here until the run ends.
          const std::shared_ptr<const LayerRunner> borrowed(std::shared_ptr<void>(), &watch);
          const std::vector<at::Tensor> there = upload(tried, model_.device);
          running.program->run(std::vector<c10::IValue>(there.begin(), there.end()),
                               {.layers = borrowed});
        }));
  }
  return run(*running.program, inputs, row_mode);
}

}  // namespace tenon
