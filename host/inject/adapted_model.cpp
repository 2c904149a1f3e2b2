#include "inject/adapted_model.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "inject/checkpointed_modules.h"
#include "inject/forward_failure.h"
#include "inject/sibling_layers.h"
#include "model/input_check.h"
#include "model/node_failure.h"

namespace tenon {
namespace {

bool normalises_batch(const Node& node) {
  return node.target.find("batch_norm") != std::string::npos;
}

}  // namespace

AdaptedModel::AdaptedModel(ModelData model) : model_(std::move(model)) { build_program(); }

AdaptedModel::AdaptedModel(ModelData model, const InjectionPlan& plan, std::uint64_t seed)
    : model_(std::move(model)) {
  add_adapter(plan, seed);
}

std::vector<at::Tensor> AdaptedModel::forward(const std::vector<at::Tensor>& inputs,
                                              const RunMode& mode) const {
  check_inputs(model_.inputs, inputs, model_.guards);
  std::vector<c10::IValue> values(inputs.begin(), inputs.end());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const ValueId value = model_.graph.inputs[i];
    if (model_.graph.values[static_cast<std::size_t>(value)].is_number) {
      values[i] = inputs[i].item();
    }
  }
  std::vector<at::Tensor> outputs;
  try {
    for (c10::IValue& value : program_->run(std::move(values), mode)) {
      if (value.isTensor()) outputs.push_back(std::move(value).toTensor());
    }
  } catch (const NodeFailure& failure) {
    throw forward_failure(model_, inputs, failure);
  }
  return outputs;
}

void AdaptedModel::train_base() {
  for (ModelTensor& tensor : model_.tensors) {
    if (tensor.kind == ValueKind::kParameter && tensor.tensor.is_floating_point()) {
      tensor.tensor.requires_grad_(true);
      tensor.crc32 = -1;
    }
  }
}

void AdaptedModel::checkpoint(const ModuleRule& modules) {
  std::vector<ModuleId> wanted = modules_to_checkpoint(model_, modules);
  if (wanted == checkpointed_) return;  // mostly none: the program stands as it is
  checkpointed_ = std::move(wanted);
  build_program();
}

std::vector<at::Tensor> AdaptedModel::trainable() const {
  std::vector<at::Tensor> tensors;
  for (const auto& adapter : adapters_) {
    for (const AddedTensor& added : adapter->tensors) {
      if (added.trainable && added.tensor.requires_grad()) tensors.push_back(added.tensor);
    }
  }
  for (const ModelTensor& tensor : model_.tensors) {
    if (tensor.tensor.requires_grad()) tensors.push_back(tensor.tensor);
  }
  return tensors;
}

std::vector<at::Tensor> AdaptedModel::buffers() const {
  std::vector<at::Tensor> tensors;
  for (const ModelTensor& tensor : model_.tensors) {
    if (tensor.kind == ValueKind::kBuffer) tensors.push_back(tensor.tensor);
  }
  for (const auto& adapter : adapters_) {
    for (const AddedTensor& added : adapter->tensors) {
      if (added.is_buffer) tensors.push_back(added.tensor);
    }
  }
  return tensors;
}

std::vector<const AdaptedLayer*> AdaptedModel::layers() const {
  std::vector<const AdaptedLayer*> layers;
  for (const auto& [module, site] : sites_) layers.push_back(site.layer.get());
  return layers;
}

// Two sites cannot run the same operator, nor one site in two ways.
void AdaptedModel::check_sites(const PlacedAdapter& adapter) const {
  std::map<std::int32_t, ModuleId> owners;  // of nodes
  const auto path_of = [&](ModuleId module) {
    return "`" + model_.tree.modules[static_cast<std::size_t>(module)].path + "`";
  };
  const auto claim = [&](ModuleId module, const std::vector<Region>& regions) {
    for (const Region& region : regions) {
      for (const std::int32_t node : region.nodes) {
        const auto [owner, is_new] = owners.emplace(node, module);
        if (is_new || owner->second == module) continue;
        throw Error({.stage = Stage::kInjection,
                     .message = path_of(owner->second) + " and " + path_of(module) +
                                " share operators, so they cannot both be adapted or saved whole",
                     .hint = "leave one of them out of target_modules or modules_to_save"});
      }
    }
  };
  for (const auto& [module, site] : sites_) claim(module, site.regions);
  for (const PlacedSlot& placed : adapter.slots) {
    const auto known = sites_.find(placed.site.module);
    claim(placed.site.module, placed.site.regions);
    if (known == sites_.end()) continue;
    const auto nodes = [](const Region& region) { return region.nodes; };
    if (known->second.tensors != placed.site.tensors ||
        !std::ranges::equal(known->second.regions, placed.site.regions, {}, nodes, nodes)) {
      throw Error({.stage = Stage::kInjection,
                   .message = path_of(placed.site.module) +
                              " is adapted by one adapter and saved whole by another in a way that "
                              "does not fit together",
                   .hint = "leave it out of one adapter's modules_to_save"});
    }
  }
}

AdaptedModel::Site AdaptedModel::open_site(const LayerSite& wanted) const {
  std::vector<std::string> names;
  std::vector<at::Tensor> weights;
  const std::string& path = model_.tree.modules[static_cast<std::size_t>(wanted.module)].path;
  for (const std::int32_t index : wanted.tensors) {
    const ModelTensor& tensor = model_.tensors[static_cast<std::size_t>(index)];
    names.push_back(tensor.name_in(path).value_or(tensor.name));
    weights.push_back(tensor.tensor);
  }
  Site site{std::make_unique<AdaptedLayer>(path, std::move(names), std::move(weights)),
            wanted.tensors,
            wanted.regions,
            {}};
  for (const Region& region : site.regions) {
    const bool normalises = std::ranges::any_of(region.nodes, [&](std::int32_t node) {
      return normalises_batch(model_.graph.nodes[static_cast<std::size_t>(node)]);
    });
    auto program = std::make_shared<RegionProgram>(
        RegionProgram{Program(region_graph(model_, region), model_.tensors),
                      region.inputs.size(),
                      static_cast<std::uint32_t>(region.outputs.size()),
                      {},
                      {},
                      normalises});
    for (const std::int32_t tensor : region.tensors) {
      const auto own = std::find(site.tensors.begin(), site.tensors.end(), tensor);
      program->weight_numbers.push_back(
          own == site.tensors.end() ? -1 : static_cast<std::int32_t>(own - site.tensors.begin()));
      program->fixed.push_back(model_.tensors[static_cast<std::size_t>(tensor)].tensor);
    }
    site.programs.push_back(std::move(program));
  }
  return site;
}

bool AdaptedModel::open_sites(const PlacedAdapter& adapter) {
  bool any = false;
  for (const PlacedSlot& placed : adapter.slots) {
    if (sites_.contains(placed.site.module)) continue;
    sites_.emplace(placed.site.module, open_site(placed.site));
    any = true;
  }
  return any;
}

void AdaptedModel::close_empty_sites() {
  std::erase_if(sites_, [](const auto& entry) { return entry.second.layer->slots().empty(); });
}

void AdaptedModel::build_program() {
  std::vector<LayerCall> calls;
  for (const auto& [module, site] : sites_) {
    for (std::size_t i = 0; i < site.regions.size(); ++i) {
      calls.push_back({site.layer.get(), &site.regions[i], site.programs[i]});
    }
  }
  std::vector<LayerReplacement> replacements;
  for (std::vector<LayerCall>& group : group_siblings(model_, calls)) {
    LayerReplacement& added = replacements.emplace_back();
    for (const LayerCall& call : group) added.layers.push_back(call.layer);
    added.replacement = replace_siblings(std::move(group));
  }
  program_ =
      std::make_unique<Program>(model_.graph, model_.tensors,
                                checkpoint_modules(model_, std::move(replacements), checkpointed_));
  row_layouts_ = std::make_unique<RowLayouts>();
}

}  // namespace tenon
