// Saving an AdaptedModule's adapters, and merging them, beside the base's weights or into the
// user's own.
#include <ATen/ATen.h>

#include <algorithm>

#include "base/log.h"
#include "base/suggest.h"
#include "library/adapted_state.h"
#include "library/guarded.h"
#include "model/running_statistics.h"
#include "operations/adapter_stages.h"
#include "targets/module_names.h"

namespace tenon {
namespace {

// They were trained in the user's own model, of which the adapter's folder holds nothing.
void warn_of_statistics(const AdaptedModel& model) {
  std::vector<std::string> paths = modules_with_statistics(model.model());
  std::erase_if(paths, [&](const std::string& path) {
    return std::ranges::any_of(model.adapter_names(), [&](const std::string& name) {
      return std::ranges::any_of(model.adapter(name).saved,
                                 [&](const std::string& saved) { return lies_in(path, saved); });
    });
  });
  if (paths.empty()) return;
  log::warning("the statistics of " + join(paths) +
               " were trained in the model itself and are not in the adapter's folder: save the "
               "model too, or name these in modules_to_save");
}

// Copies the second of each pair into the first, the last pair first: a tensor may be there twice.
void put_back(const std::vector<std::pair<at::Tensor, at::Tensor>>& tensors) {
  for (auto each = tensors.rbegin(); each != tensors.rend(); ++each) {
    const at::Tensor destination = each->first;
    destination.copy_(each->second);
  }
}

void merge_into_model(AdaptedState& state) {
  if (!state.originals.empty()) return;
  AdaptedModel& model = state.model;
  if (!model.merged().empty()) {
    throw Error({.stage = Stage::kInjection,
                 .message = "adapters are merged already, beside the model's own weights",
                 .hint = "unmerge them first"});
  }
  model.merge(model.active());
  try {
    if (const std::vector<std::string> shared = model.merged_but_shared(); !shared.empty()) {
      throw Error(
          {.stage = Stage::kInjection,
           .message = "merging into the model would change what more than the adapted "
                      "layer reads: " +
                      join(shared),
           .hint = "leave the adapter unmerged, or give the other use a weight of its own"});
    }
    const at::NoGradGuard no_grad;
    const std::vector<MergedTensor> merged = model.merged_tensors();
    std::vector<std::pair<at::Tensor, at::Tensor>> originals;
    for (const MergedTensor& each : merged) {
      const at::Tensor& base = model.base_tensors()[static_cast<std::size_t>(each.tensor)].tensor;
      originals.emplace_back(base, base.detach().clone());
    }
    for (std::size_t i = 0; i < merged.size(); ++i) originals[i].first.copy_(merged[i].merged);
    state.originals = std::move(originals);
  } catch (...) {
    model.unmerge();
    throw;
  }
}

void unmerge_from_model(AdaptedState& state) {
  if (state.originals.empty()) return;
  const at::NoGradGuard no_grad;
  put_back(state.originals);
  state.originals.clear();
  state.model.unmerge();
}

// The record that is saved names the base as it is without the adapter.
template <class Save>
void save_unmerged(AdaptedState& state, const Save& save) {
  const std::scoped_lock lock(state.changes);
  if (state.has_trained_statistics) warn_of_statistics(state.model);
  const bool merged = !state.originals.empty();
  if (merged) unmerge_from_model(state);
  try {
    save(state.model);
  } catch (...) {
    if (merged) merge_into_model(state);
    throw;
  }
  if (merged) merge_into_model(state);
}

}  // namespace

void AdaptedModule::save(const std::filesystem::path& folder, bool force) {
  guarded(Stage::kOutput, "save the adapters", [&] {
    save_unmerged(*state_, [&](const AdaptedModel& model) { save_adapters(model, folder, force); });
  });
}

void AdaptedModule::save(const std::string& name, const std::filesystem::path& folder, bool force) {
  guarded(Stage::kOutput, "save the adapter", [&] {
    save_unmerged(*state_, [&](const AdaptedModel& model) {
      save_adapter(folder, adapter_files(model, model.adapter(name)), force);
    });
  });
}

void AdaptedModule::merge(const std::vector<std::string>& names) {
  guarded(Stage::kInjection, "merge the adapters", [&] {
    const std::scoped_lock lock(state_->changes);
    if (!state_->originals.empty()) {
      throw Error({.stage = Stage::kInjection,
                   .message = "the adapters are merged into the model",
                   .hint = "call unmerge_from_model first"});
    }
    state_->model.merge(names.empty() ? state_->model.active() : names);
  });
}

void AdaptedModule::unmerge() {
  guarded(Stage::kInjection, "unmerge the adapters", [&] {
    const std::scoped_lock lock(state_->changes);
    if (!state_->originals.empty()) {
      throw Error({.stage = Stage::kInjection,
                   .message = "the adapters are merged into the model",
                   .hint = "call unmerge_from_model"});
    }
    state_->model.unmerge();
  });
}

void AdaptedModule::merge_into_model() {
  guarded(Stage::kInjection, "merge into the model", [&] {
    const std::scoped_lock lock(state_->changes);
    tenon::merge_into_model(*state_);
  });
}

void AdaptedModule::unmerge_from_model() {
  guarded(Stage::kInjection, "unmerge from the model", [&] {
    const std::scoped_lock lock(state_->changes);
    tenon::unmerge_from_model(*state_);
  });
}

}  // namespace tenon
