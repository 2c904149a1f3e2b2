#include "plan/tied_layers.h"

#include <algorithm>

#include "base/lists.h"
#include "graph/tensor_names.h"
#include "targets/module_names.h"

namespace tenon {
namespace {

std::vector<ModuleId> adapted(const InjectionPlan& plan) {
  std::vector<ModuleId> modules;
  for (const PlannedLayer& layer : plan.layers) {
    if (layer.layer_type->method() == plan.config.method) modules.push_back(layer.module);
  }
  return modules;
}

std::string pair_of(const ModelData& model, ModuleId one, ModuleId other) {
  return "`" + model.tree.at(one).path + "` and `" + model.tree.at(other).path +
         "` share their weight";
}

}  // namespace

std::vector<ModuleId> tied_modules(const ModelData& model, ModuleId module) {
  const std::string& path = model.tree.at(module).path;
  std::vector<ModuleId> tied;
  for (const ModelTensor& tensor : model.tensors) {
    if (tensor.aliases.empty() || !tensor.name_in(path)) continue;
    for (const std::string& name : all_names(tensor)) {
      if (parent_path(name).empty()) continue;
      const ModuleId other = model.tree.find(parent_path(name));
      if (other == kNoModule || !model.tree.at(other).runs) continue;
      // A module is not tied to what lies in it (BERT's prediction head has its bias twice).
      if (lies_in(model.tree.at(other).path, path)) continue;
      if (lies_in(path, model.tree.at(other).path)) continue;
      if (std::ranges::find(tied, other) == tied.end()) tied.push_back(other);
    }
  }
  return tied;
}

bool is_left_apart(const AdapterConfig& config, const std::string& path) {
  return config.saved_ties && !config.saved_ties->layers.contains(path);
}

void check_tied_layers(const ModelData& model, InjectionPlan& plan,
                       std::vector<std::string>& problems) {
  const bool ensure = plan.config.ensure_weight_tying;
  const bool ties = std::ranges::any_of(
      model.tensors, [](const ModelTensor& tensor) { return !tensor.aliases.empty(); });
  const std::vector<ModuleId> targets = ties ? adapted(plan) : std::vector<ModuleId>();
  bool any = !plan.config.trainable_tokens.empty();
  for (const ModuleId id : plan.saved) {
    for (const ModuleId other : tied_modules(model, id)) {
      any = true;
      if (!ensure && !is_in(plan.saved, other)) {
        plan.notes.push_back(pair_of(model, id, other) +
                             "; modules_to_save trains the first alone, so they are tied no "
                             "longer; ensure_weight_tying = true trains both as one");
      } else if (ensure && is_left_apart(plan.config, model.tree.at(other).path)) {
        plan.notes.push_back(pair_of(model, id, other) +
                             "; the adapter has no tensors of the second, in spite of "
                             "ensure_weight_tying, and runs so here");
      } else if (ensure && is_in(targets, other)) {
        problems.push_back(pair_of(model, id, other) +
                           ", and ensure_weight_tying is set: the second cannot be in "
                           "target_modules too");
      }
    }
  }
  for (const ModuleId id : targets) {
    for (const ModuleId other : tied_modules(model, id)) {
      if (is_in(plan.saved, other)) continue;
      any = true;
      if (ensure) continue;  // tied_targets.cpp sees to these
      plan.notes.push_back(pair_of(model, id, other) +
                           "; the adapter is on the first alone, so merging unties them");
    }
  }
  if (ensure && !any) {
    plan.notes.emplace_back(
        "ensure_weight_tying has nothing to tie: no adapted or saved layer shares its weight");
  }
}

}  // namespace tenon
