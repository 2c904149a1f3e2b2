#include "plan/layer_planner.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/lists.h"
#include "base/suggest.h"
#include "index/known_plugins.h"
#include "model/layer_attributes.h"
#include "model/layer_kind.h"
#include "model/own_operator.h"

namespace tenon {
namespace {

std::string text_of(const Module& module) {
  return (module.type.empty() ? "the module" : module.type) + " at `" + module.path + "`";
}

[[noreturn]] void fail(const Module& module, const std::string& why, std::string hint = "") {
  throw Error({.stage = Stage::kInjection,
               .message = text_of(module) + " " + why,
               .hint = std::move(hint)});
}

}  // namespace

LayerPlanner::LayerPlanner(const ModelData& model, const SubgraphFinder& finder,
                           const MethodConfig& method, LayerOptions& options,
                           const PluginRegistry& plugins,
                           const std::vector<RecordedLayer>& recorded)
    : model_(model),
      finder_(finder),
      method_(*method.method),
      config_(method.config),
      options_(options),
      plugins_(plugins),
      owned_(model.tensors),
      idle_(model, finder) {
  for (const RecordedLayer& layer : recorded) recorded_.emplace(layer.name, &layer);
}

PlannedLayer LayerPlanner::plan(ModuleId id, std::vector<std::string>& notes) const {
  const Module& module = model_.tree.at(id);
  return plan_whole(module, id, options_.method_keys(module.path), notes);
}

PlannedLayer LayerPlanner::plan(ModuleId id, const LayerType& layer_type,
                                OptionTable options) const {
  const Module& module = model_.tree.at(id);
  PlannedLayer layer;
  layer.module = id;
  layer.subgraphs = live_subgraphs(module, id);
  layer.layer_type = &layer_type;
  layer.options = std::make_shared<const OptionTable>(std::move(options));
  const std::vector<std::string> names = take_read_tensors(module, layer);
  check_weights_run(module, layer);
  layer.facts = std::make_shared<const LayerFacts>(describe(module, layer, names, {module.type}));
  tenon_setup setup{*layer.options, {}, {}};
  layer.parameters = layer.layer_type->declare(*layer.facts, setup);
  name_in_file(*layer.facts, layer.parameters);
  return layer;
}

PlannedLayer LayerPlanner::plan_whole(const Module& module, ModuleId id, OptionTable keys,
                                      std::vector<std::string>& notes) const {
  PlannedLayer layer;
  layer.module = id;
  layer.subgraphs = live_subgraphs(module, id);
  const ServedLayer served =
      served_layer(model_, module, layer.subgraphs, config_.method, plugins_);
  check_weights(module, served.type, take_tensors(module, layer));
  const RecordedLayer* recorded = find_record(module);
  layer.layer_type =
      recorded == nullptr ? dispatch(module, served.type) : serve(*recorded, served.type, notes);
  layer.own_options = std::make_shared<const OptionTable>(
      recorded == nullptr ? options_.own(*layer.layer_type)
                          : options_.recorded(*layer.layer_type, *recorded));
  check_weights_run(module, layer);
  const std::vector<std::string> names = take_read_tensors(module, layer);
  if (layer.layer_type->has_forward()) check_calls(module, layer);
  layer.facts = std::make_shared<const LayerFacts>(describe(module, layer, names, served));
  declare(module, layer, std::move(keys));
  if (served.does_more && layer.layer_type->has_forward()) {
    layer.unmergeable = "the class " + module.type + " does more than a " + served.type +
                        ", whose own output is added to its output";
  }
  if (!served.how.empty()) {
    add_once(notes, module.type + " " + served.how + "; it is adapted as " + served.type);
  }
  return layer;
}

// Returns their names inside the module.
std::vector<std::string> LayerPlanner::take_tensors(const Module& module,
                                                    PlannedLayer& layer) const {
  std::vector<std::string> names;
  layer.tensors.clear();
  for (OwnedTensor& owned : owned_.of(module.path)) {
    layer.tensors.push_back(owned.tensor);
    names.push_back(std::move(owned.name));
  }
  return names;
}

// Without the parameters that none of the calls reads: a bias that the caller adds, or nobody, is
// no bias of the layer's.
std::vector<std::string> LayerPlanner::take_read_tensors(const Module& module,
                                                         PlannedLayer& layer) const {
  std::vector<std::string> names;
  layer.tensors.clear();
  for (OwnedTensor& owned : used_by(owned_.of(module.path), layer.subgraphs, model_.tensors)) {
    layer.tensors.push_back(owned.tensor);
    names.push_back(std::move(owned.name));
  }
  return names;
}

PlannedLayer LayerPlanner::plan(const ParameterTargets& targets,
                                std::vector<std::string>& notes) const {
  const ModuleId id = model_.tree.find(targets.module);
  const Module& module = model_.tree.at(id);
  OptionTable keys = options_.parameter_keys(module.path, targets.names);
  const auto saved = recorded_.find(module.path);
  if (saved != recorded_.end() && saved->second->type != kParameterType) {
    // The user's rule took the layer as a whole; its own plugin makes it again.
    PlannedLayer layer = plan_whole(module, id, std::move(keys), notes);
    if (adapted_weights(*layer.facts, layer.parameters) == targets.names) return layer;
    fail(module, "was adapted in other weights than target_parameters names");
  }
  PlannedLayer layer;
  layer.module = id;
  const Module parameter{module.path, kParameterType, module.runs};
  layer.layer_type = saved == recorded_.end() ? dispatch(parameter, kParameterType)
                                              : serve(*saved->second, kParameterType, notes);
  layer.own_options = std::make_shared<const OptionTable>(options_.own(*layer.layer_type));
  const std::vector<std::string> names = take_tensors(module, layer);
  layer.subgraphs = readers(module, layer, names, targets);
  LayerFacts::Description facts = describe(parameter, layer, names, {kParameterType});
  facts.attributes["module_type"] = module.type;
  for (WeightFacts& weight : facts.weights) weight.is_target = is_in(targets.names, weight.name);
  layer.facts = std::make_shared<const LayerFacts>(std::move(facts));
  declare(module, layer, std::move(keys));
  return layer;
}

void LayerPlanner::declare(const Module& module, PlannedLayer& layer, OptionTable keys) const {
  keys.insert(layer.own_options->begin(), layer.own_options->end());
  layer.options = std::make_shared<const OptionTable>(std::move(keys));
  tenon_setup setup{*layer.options, {}, {}};
  layer.parameters = layer.layer_type->declare(*layer.facts, setup);
  name_in_file(*layer.facts, layer.parameters);
  layer.scaling = method_.scaling(*layer.facts, setup);
  const std::string ignored = options_.ignored(*layer.options, setup.asked);
  if (!ignored.empty()) {
    fail(module, "cannot be adapted with " + ignored + ", which " + layer.layer_type->id() +
                     " does not have");
  }
  const OwnOption other = other_than_the_layers(*layer.facts, *layer.options, setup.asked);
  if (!other.parameter.empty()) {
    const auto key = std::ranges::find(method_.keys(), other.key, &DeclaredOption::key);
    fail(module, "would get another " + other.key + " for `" + other.parameter +
                     "` than for its other parameters, which " + layer.layer_type->id() +
                     " does not have; give them the same in " + key->pattern_key);
  }
  layer.unmergeable = layer.layer_type->merge_obstacle(*layer.facts, setup);
}

// Whether operator_name and the layer's weights say all that its calls do.
bool LayerPlanner::has_plain_operator(const PlannedLayer& layer, const std::string& served) const {
  const std::string name = single_operator(model_, layer.subgraphs.front());
  const bool is_one = std::ranges::all_of(layer.subgraphs, [&](const Subgraph& subgraph) {
    std::vector<std::int32_t> read = layer.tensors;
    std::erase_if(read, [&](std::int32_t tensor) {
      return std::ranges::find(subgraph.tensors, tensor) == subgraph.tensors.end();
    });
    return subgraph.tensors == read && single_operator(model_, subgraph) == name;
  });
  return is_one && !name.empty() &&
         (layer_of_operator(name) != served || layer_kind(model_, layer.subgraphs) == served);
}

// A plugin made for a class that computes its weight may know how; ours are not.
void LayerPlanner::check_weights(const Module& module, const std::string& served,
                                 const std::vector<std::string>& names) const {
  const LayerType* layer_type = plugins_.find(config_.method, served);
  if (layer_type != nullptr && layer_type->plugin().origin != kBuiltInOrigin) return;
  refuse_computed_weight(text_of(module), names);
}

const LayerType* LayerPlanner::dispatch(const Module& module, const std::string& served) const {
  const LayerType* layer_type = plugins_.find(config_.method, served);
  if (layer_type != nullptr) return layer_type;
  const std::vector<std::string> supported = plugins_.supported_types(config_.method);
  const std::string type = module.type.empty() ? "a module of unknown type" : module.type;
  const std::string line = line_that_serves(config_.method, served);
  // The same for each layer of the class, so that it is told once.
  std::string hint = "supported here: " + (supported.empty() ? "nothing" : join(supported)) +
                     (line.empty() ? "; a plugin for it goes into " + plugins_.user_folder()
                                   : "; a plugin for it is known: " + line);
  if (holds_layers(module)) {
    hint = "to adapt the layers in it: target_modules = [\"" + module.path + ".*\"]\n  " + hint;
  } else if (!module.type.starts_with("torch.nn.") &&
             is_in(supported, std::string(kParameterType))) {
    hint += "; parameters of a class of your own are adapted by name too, by target_parameters";
  }
  throw Error(
      {.stage = Stage::kInjection,
       .message = type + " at `" + module.path + "` is not supported by method " + config_.method,
       .hint = hint});
}

bool LayerPlanner::holds_layers(const Module& module) const {
  return std::ranges::any_of(model_.tree.modules, [&](const Module& other) {
    return other.path.starts_with(module.path + ".");
  });
}

// The plugin that made a saved layer, for the type that it was looked up by then.
const LayerType* LayerPlanner::serve(const RecordedLayer& recorded, const std::string& served,
                                     std::vector<std::string>& notes) const {
  RecordedLayer wanted = recorded;
  wanted.type = served;
  return &find_recorded(wanted, config_.method, plugins_, notes);
}

// What the saved adapter tells of this layer; a line of [plugins.prefer] is the user's last word.
const RecordedLayer* LayerPlanner::find_record(const Module& module) const {
  const auto found = recorded_.find(module.path);
  if (found == recorded_.end() || plugins_.has_preference(config_.method, module.type)) {
    return nullptr;
  }
  if (found->second->type == module.type) return found->second;
  fail(module, "was of type " + found->second->type + " when the adapter was saved");
}

void LayerPlanner::check_trainable(const Module& module,
                                   const std::vector<Subgraph>& subgraphs) const {
  if (std::all_of(subgraphs.begin(), subgraphs.end(), [&](const Subgraph& subgraph) {
        return finder_.runs_without_gradients(subgraph);
      })) {
    fail(module, "runs only where the model switches gradients off, so it cannot be trained");
  }
}

std::vector<Subgraph> LayerPlanner::live_subgraphs(const Module& module, ModuleId id) const {
  std::vector<Subgraph> subgraphs = finder_.find(id);
  if (subgraphs.empty() && finder_.runs_nested(id)) {
    fail(module,
         "runs only in a branch or loop of the graph (torch.cond, while_loop, map, scan), "
         "where a layer cannot be replaced");
  }
  const std::string idle = idle_.why(id);
  if (!idle.empty()) {
    fail(module, idle + "; an adapter on it would do nothing",
         "leave it out: exclude_modules = [\"" + module.path + "\"]");
  }
  idle_.erase_from(subgraphs);
  check_trainable(module, subgraphs);
  if (std::ranges::any_of(subgraphs, [&](const Subgraph& subgraph) {
        return subgraph.inputs.size() != subgraphs[0].inputs.size() ||
               subgraph.outputs.size() != subgraphs[0].outputs.size();
      })) {
    fail(module, "is called in different ways; name its weights in target_parameters instead");
  }
  return subgraphs;
}

// A layer's facts are those of one call, so that all must read the same.
void LayerPlanner::check_calls(const Module& module, const PlannedLayer& layer) const {
  const std::set<std::int32_t> own(layer.tensors.begin(), layer.tensors.end());
  const auto read_by = [&](const Subgraph& subgraph) {
    std::set<std::int32_t> read;
    for (const std::int32_t tensor : subgraph.tensors) {
      if (own.contains(tensor)) read.insert(tensor);
    }
    return read;
  };
  const std::set<std::int32_t> first = read_by(layer.subgraphs.front());
  if (std::ranges::all_of(layer.subgraphs,
                          [&](const Subgraph& subgraph) { return read_by(subgraph) == first; })) {
    return;
  }
  fail(module, "is called in different ways; name its weights in target_parameters instead");
}

// The operators that read the parameters to adapt, each of which there must be.
std::vector<Subgraph> LayerPlanner::readers(const Module& module, const PlannedLayer& layer,
                                            const std::vector<std::string>& names,
                                            const ParameterTargets& targets) const {
  std::vector<std::int32_t> wanted;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (is_in(targets.names, names[i])) wanted.push_back(layer.tensors[i]);
  }
  std::vector<Subgraph> subgraphs = finder_.readers(layer.module, wanted);
  idle_.erase_from(subgraphs);
  std::set<std::int32_t> read;
  for (const Subgraph& subgraph : subgraphs)
    read.insert(subgraph.tensors.begin(), subgraph.tensors.end());
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!is_in(targets.names, names[i]) || read.contains(layer.tensors[i])) continue;
    fail(module, "has a parameter `" + names[i] +
                     "` that its own forward never uses, so an adapter on it would do nothing");
  }
  check_trainable(module, subgraphs);
  return subgraphs;
}

void LayerPlanner::check_weights_run(const Module& module, const PlannedLayer& layer) const {
  const std::set<std::int32_t> own(layer.tensors.begin(), layer.tensors.end());
  for (const Subgraph& subgraph : layer.subgraphs) {
    if (std::none_of(subgraph.tensors.begin(), subgraph.tensors.end(),
                     [&](std::int32_t tensor) { return own.contains(tensor); })) {
      fail(module, "runs without using weights of its own, so an adapter on it would do nothing");
    }
  }
}

LayerFacts::Description LayerPlanner::describe(const Module& module, const PlannedLayer& layer,
                                               const std::vector<std::string>& names,
                                               const ServedLayer& served) const {
  const Subgraph& subgraph = layer.subgraphs.front();
  LayerFacts::Description facts;
  facts.type = module.type;
  facts.module_path = module.path;
  for (std::size_t i = 0; i < layer.tensors.size(); ++i) {
    const ModelTensor& tensor = model_.tensors[static_cast<std::size_t>(layer.tensors[i])];
    facts.weights.push_back({names[i], tensor.tensor.sizes().vec(),
                             static_cast<std::int32_t>(tensor.tensor.scalar_type()),
                             tensor.kind != ValueKind::kParameter});
  }
  if (has_plain_operator(layer, served.type))
    facts.operator_name = single_operator(model_, subgraph);
  facts.attributes = layer_attributes(model_, subgraph);
  if (served.does_more) facts.attributes["does_more"] = true;
  facts.n_inputs = static_cast<std::uint32_t>(subgraph.inputs.size());
  facts.n_outputs = static_cast<std::uint32_t>(subgraph.outputs.size());
  return facts;
}

}  // namespace tenon
