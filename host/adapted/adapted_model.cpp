#include "adapted/adapted_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <mutex>

#include "adapted/checkpointed_modules.h"
#include "adapted/forward_failure.h"
#include "adapted/sibling_layers.h"
#include "base/error.h"
#include "base/suggest.h"
#include "graph/upload.h"
#include "interpreter/node_failure.h"
#include "model/input_check.h"

namespace tenon {
namespace {

bool normalises_batch(const Node& node) {
  return node.target.find("batch_norm") != std::string::npos;
}

}  // namespace

AdaptedModel::AdaptedModel(ModelData model) : model_(std::move(model)) {
  running_ = build({});
  running_.layers = choose({});
}

AdaptedModel::AdaptedModel(ModelData model, const InjectionPlan& plan, std::uint64_t seed)
    : model_(std::move(model)) {
  add_adapter(plan, seed);
}

AdaptedModel::Running AdaptedModel::running() const {
  const std::shared_lock lock(*set_);
  return running_;
}

std::vector<at::Tensor> AdaptedModel::forward(const std::vector<at::Tensor>& inputs,
                                              const RunMode& mode) const {
  const Running running = this->running();
  RunMode own = mode;
  if (own.layers == nullptr) own.layers = running.layers;
  return run(*running.program, inputs, own);
}

std::vector<at::Tensor> AdaptedModel::forward_with(const std::vector<at::Tensor>& inputs,
                                                   const std::vector<std::string>& adapters,
                                                   const RunMode& mode) const {
  RunMode own = mode;
  std::shared_ptr<const Program> program;
  {
    const std::shared_lock lock(*set_);
    require(adapters);
    check_saved(adapters);
    check_count(adapters);
    if (!merged_.empty()) {
      throw Error({.stage = Stage::kInjection,
                   .message = "a forward cannot choose its adapters while some are merged: " +
                              join(merged_),
                   .hint = "unmerge them first"});
    }
    own.layers = choose(adapters);
    program = running_.program;
  }
  return run(*program, inputs, own);
}

std::vector<at::Tensor> AdaptedModel::run(const Program& program,
                                          const std::vector<at::Tensor>& inputs,
                                          const RunMode& mode) const {
  check_inputs(model_.inputs, inputs, model_.guards);
  std::vector<c10::IValue> values;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const ValueId value = model_.graph.inputs[i];
    if (model_.graph.values[static_cast<std::size_t>(value)].is_number) {
      values.emplace_back(inputs[i].item());
    } else {
      values.emplace_back(inputs[i].requires_grad() ? inputs[i].to(model_.device)
                                                    : upload(inputs[i], model_.device));
    }
  }
  std::vector<at::Tensor> outputs;
  try {
    for (c10::IValue& value : program.run(std::move(values), mode)) {
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
  Running next = build(sites_with({}), wanted, noisy_);
  const std::unique_lock lock(*set_);
  next.layers = running_.layers;
  running_ = std::move(next);
  checkpointed_ = std::move(wanted);
}

void AdaptedModel::add_noise(const std::optional<NoisyModule>& noisy) {
  if (!noisy && !noisy_) return;
  Running next = build(sites_with({}), checkpointed_, noisy);
  const std::unique_lock lock(*set_);
  next.layers = running_.layers;
  running_ = std::move(next);
  noisy_ = noisy;
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
void AdaptedModel::check_sites(const AdapterInstance& adapter) const {
  std::map<std::int32_t, ModuleId> owners;  // of nodes
  const auto path_of = [&](ModuleId module) { return "`" + model_.tree.at(module).path + "`"; };
  const auto claim = [&](ModuleId module, const std::vector<Subgraph>& subgraphs) {
    for (const Subgraph& subgraph : subgraphs) {
      for (const std::int32_t node : subgraph.nodes) {
        const auto [owner, is_new] = owners.emplace(node, module);
        if (is_new || owner->second == module) continue;
        throw Error({.stage = Stage::kInjection,
                     .message = path_of(owner->second) + " and " + path_of(module) +
                                " share operators, so they cannot both be adapted or saved whole",
                     .hint = "leave one of them out of target_modules or modules_to_save"});
      }
    }
  };
  // Sites that are there stand beside each other already.
  const bool any_new = std::ranges::any_of(
      adapter.layer_adapters,
      [&](const PlacedLayerAdapter& placed) { return !sites_.contains(placed.site.module); });
  if (any_new) {
    for (const auto& [module, site] : sites_) claim(module, site.subgraphs);
  }
  for (const PlacedLayerAdapter& placed : adapter.layer_adapters) {
    const auto known = sites_.find(placed.site.module);
    if (any_new) claim(placed.site.module, placed.site.subgraphs);
    if (known == sites_.end()) continue;
    const auto nodes = [](const Subgraph& subgraph) { return subgraph.nodes; };
    if (known->second.tensors != placed.site.tensors ||
        !std::ranges::equal(known->second.subgraphs, placed.site.subgraphs, {}, nodes, nodes)) {
      throw Error({.stage = Stage::kInjection,
                   .message = path_of(placed.site.module) +
                              " is adapted by one adapter and saved whole by another in a way that "
                              "does not fit together",
                   .hint = "leave it out of one adapter's modules_to_save"});
    }
  }
}

AdaptedModel::Site AdaptedModel::open_site(const CallSite& wanted) const {
  std::vector<std::string> names;
  std::vector<at::Tensor> weights;
  const std::string& path = model_.tree.at(wanted.module).path;
  for (const std::int32_t index : wanted.tensors) {
    const ModelTensor& tensor = model_.tensors[static_cast<std::size_t>(index)];
    names.push_back(tensor.name_in(path).value_or(tensor.name));
    weights.push_back(tensor.tensor);
  }
  Site site{
      std::make_shared<AdaptedLayer>(wanted.module, path, std::move(names), std::move(weights)),
      wanted.tensors,
      wanted.subgraphs,
      {}};
  for (const Subgraph& subgraph : site.subgraphs) {
    const bool normalises = std::ranges::any_of(subgraph.nodes, [&](std::int32_t node) {
      return normalises_batch(model_.graph.nodes[static_cast<std::size_t>(node)]);
    });
    auto program = std::make_shared<SubgraphProgram>(
        SubgraphProgram{Program(subgraph_program(model_, subgraph), model_.tensors),
                        subgraph.inputs.size(),
                        static_cast<std::uint32_t>(subgraph.outputs.size()),
                        {},
                        {},
                        normalises});
    for (const std::int32_t tensor : subgraph.tensors) {
      const auto own = std::find(site.tensors.begin(), site.tensors.end(), tensor);
      program->weight_numbers.push_back(
          own == site.tensors.end() ? -1 : static_cast<std::int32_t>(own - site.tensors.begin()));
      program->fixed.push_back(model_.tensors[static_cast<std::size_t>(tensor)].tensor);
    }
    site.programs.push_back(std::move(program));
  }
  return site;
}

// Those that the adapter needs and no other has opened.
AdaptedModel::Sites AdaptedModel::new_sites(const AdapterInstance& adapter) const {
  Sites opened;
  for (const PlacedLayerAdapter& placed : adapter.layer_adapters) {
    if (sites_.contains(placed.site.module) || opened.contains(placed.site.module)) continue;
    opened.emplace(placed.site.module, open_site(placed.site));
  }
  return opened;
}

// In model order.
std::vector<const AdaptedModel::Site*> AdaptedModel::sites_with(const Sites& opened) const {
  std::map<ModuleId, const Site*> all;
  for (const auto& [module, site] : sites_) all.emplace(module, &site);
  for (const auto& [module, site] : opened) all.emplace(module, &site);
  std::vector<const Site*> sites;
  sites.reserve(all.size());
  for (const auto& [module, site] : all) sites.push_back(site);
  return sites;
}

// Without those that only this adapter is on.
std::vector<const AdaptedModel::Site*> AdaptedModel::sites_without(
    const AdapterInstance& adapter) const {
  std::vector<const Site*> sites;
  for (const auto& [module, site] : sites_) {
    const AdaptedLayer::Slots& layer_adapters = site.layer->layer_adapters();
    if (layer_adapters.size() > 1 || !layer_adapters.contains(adapter.config.name))
      sites.push_back(&site);
  }
  return sites;
}

AdaptedModel::Running AdaptedModel::build(const std::vector<const Site*>& sites) const {
  return build(sites, checkpointed_, noisy_);
}

AdaptedModel::Running AdaptedModel::build(const std::vector<const Site*>& sites,
                                          const std::vector<ModuleId>& checkpointed,
                                          const std::optional<NoisyModule>& noisy) const {
  std::vector<LayerCall> calls;
  for (const Site* site : sites) {
    for (std::size_t i = 0; i < site->subgraphs.size(); ++i) {
      calls.push_back({site->layer, &site->subgraphs[i], site->programs[i]});
    }
  }
  std::vector<LayerReplacement> replacements;
  for (std::vector<LayerCall>& group : group_siblings(model_, calls)) {
    LayerReplacement& added = replacements.emplace_back();
    for (const LayerCall& call : group) added.layers.push_back(call.layer);
    added.replacement = replace_siblings(std::move(group));
  }
  if (noisy) replacements = tenon::add_noise(model_, std::move(replacements), *noisy);
  Running running;
  running.program = std::make_shared<const Program>(
      model_.graph, model_.tensors,
      checkpoint_modules(model_, std::move(replacements), checkpointed));
  running.row_layouts = std::make_shared<RowLayouts>();
  return running;
}

}  // namespace tenon
