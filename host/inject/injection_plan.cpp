#include "inject/injection_plan.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "base/suggest.h"
#include "inject/layer_attributes.h"
#include "inject/layer_options.h"
#include "inject/method_config.h"
#include "inject/owned_tensors.h"
#include "inject/reachability.h"
#include "inject/resolved_targets.h"
#include "inject/shared_parameters.h"
#include "inject/target_matcher.h"
#include "model/owned_tensors.h"

namespace tenon {
namespace {

// One planned layer, or the reason why it cannot be.
class LayerPlanner {
 public:
  LayerPlanner(const ModelData& model, const RegionFinder& finder, const MethodConfig& method,
               LayerOptions& options, const PluginRegistry& plugins,
               const std::vector<RecordedLayer>& recorded)
      : model_(model),
        finder_(finder),
        method_(*method.method),
        config_(method.config),
        options_(options),
        plugins_(plugins),
        owned_(model.tensors),
        reachable_(reachable_nodes(model.graph)) {
    for (const RecordedLayer& layer : recorded) recorded_.emplace(layer.name, &layer);
  }

  // Throws Error{kInjection} if the layer cannot be adapted.
  PlannedLayer plan(ModuleId id, std::vector<std::string>& notes) const {
    const Module& module = model_.tree.modules[static_cast<std::size_t>(id)];
    PlannedLayer layer;
    layer.module = id;
    layer.regions = live_regions(module, id);
    const RecordedLayer* recorded = find_record(module);
    layer.layer_type = recorded == nullptr
                           ? dispatch(module)
                           : &find_recorded(*recorded, config_.method, plugins_, notes);
    layer.own_options = recorded == nullptr ? options_.own(*layer.layer_type)
                                            : options_.recorded(*layer.layer_type, *recorded);
    std::vector<std::string> names;
    for (OwnedTensor& owned : owned_.of(module.path)) {
      layer.tensors.push_back(owned.tensor);
      names.push_back(std::move(owned.name));
    }
    check_weights_run(module, layer);
    layer.facts = std::make_shared<const LayerFacts>(describe(module, layer, names));
    layer.options = options_.method_keys(module.path);
    layer.options.insert(layer.own_options.begin(), layer.own_options.end());
    tenon_setup setup{layer.options, {}, {}};
    layer.parameters = layer.layer_type->declare(*layer.facts, setup);
    layer.scaling = method_.scaling(*layer.facts, setup);
    const std::string ignored = options_.ignored(setup.asked);
    if (!ignored.empty()) {
      fail(module, "cannot be adapted with " + ignored + ", which " + layer.layer_type->id() +
                       " does not have");
    }
    return layer;
  }

 private:
  const LayerType* dispatch(const Module& module) const {
    const LayerType* layer_type = plugins_.find(config_.method, module.type);
    if (layer_type != nullptr) return layer_type;
    const std::vector<std::string> supported = plugins_.supported_types(config_.method);
    const std::string type = module.type.empty() ? "a module of unknown type" : module.type;
    throw Error({.stage = Stage::kInjection,
                 .message = type + " at `" + module.path + "` is not supported by method " +
                            config_.method + "; supported here: " +
                            (supported.empty() ? "nothing" : join(supported)) +
                            "; a plugin for it goes into " + plugins_.user_folder()});
  }

  // What the saved adapter tells of this layer; a line of [plugins.prefer] is the user's last word.
  const RecordedLayer* find_record(const Module& module) const {
    const auto found = recorded_.find(module.path);
    if (found == recorded_.end() || plugins_.has_preference(config_.method, module.type)) {
      return nullptr;
    }
    if (found->second->type == module.type) return found->second;
    fail(module, "was of type " + found->second->type + " when the adapter was saved");
  }

  std::vector<Region> live_regions(const Module& module, ModuleId id) const {
    std::vector<Region> regions = finder_.find(id);
    if (regions.empty() && finder_.runs_nested(id)) {
      fail(module,
           "runs only in a branch or loop of the graph (torch.cond, while_loop, map, scan), "
           "where a layer cannot be replaced");
    }
    std::erase_if(regions, [&](const Region& region) {
      return std::none_of(region.nodes.begin(), region.nodes.end(), [&](std::int32_t node) {
        return reachable_[static_cast<std::size_t>(node)];
      });
    });
    if (regions.empty()) {
      fail(module, "is never run by the model's forward, so an adapter on it would do nothing");
    }
    if (std::all_of(regions.begin(), regions.end(),
                    [&](const Region& region) { return finder_.runs_without_gradients(region); })) {
      fail(module, "runs only where the model switches gradients off, so it cannot be trained");
    }
    const auto differs = [&](const Region& region) {
      return region.inputs.size() != regions[0].inputs.size() ||
             region.outputs.size() != regions[0].outputs.size();
    };
    if (std::any_of(regions.begin(), regions.end(), differs)) {
      fail(module, "is called in different ways, with other numbers of inputs or outputs");
    }
    return regions;
  }

  void check_weights_run(const Module& module, const PlannedLayer& layer) const {
    const std::set<std::int32_t> own(layer.tensors.begin(), layer.tensors.end());
    for (const Region& region : layer.regions) {
      if (std::none_of(region.tensors.begin(), region.tensors.end(),
                       [&](std::int32_t tensor) { return own.contains(tensor); })) {
        fail(module, "runs without using weights of its own, so an adapter on it would do nothing");
      }
    }
  }

  LayerFacts::Description describe(const Module& module, const PlannedLayer& layer,
                                   const std::vector<std::string>& names) const {
    const Region& region = layer.regions.front();
    LayerFacts::Description facts;
    facts.type = module.type;
    facts.module_path = module.path;
    for (std::size_t i = 0; i < layer.tensors.size(); ++i) {
      const ModelTensor& tensor = model_.tensors[static_cast<std::size_t>(layer.tensors[i])];
      facts.weights.push_back({names[i], tensor.tensor.sizes().vec(),
                               static_cast<std::int32_t>(tensor.tensor.scalar_type()),
                               tensor.kind != ValueKind::kParameter});
    }
    const std::set<std::int32_t> own(layer.tensors.begin(), layer.tensors.end());
    const bool only_own = std::all_of(region.tensors.begin(), region.tensors.end(),
                                      [&](std::int32_t tensor) { return own.contains(tensor); });
    if (only_own) facts.operator_name = single_operator(model_, region);
    facts.attributes = layer_attributes(model_, region);
    facts.n_inputs = static_cast<std::uint32_t>(region.inputs.size());
    facts.n_outputs = static_cast<std::uint32_t>(region.outputs.size());
    return facts;
  }

  [[noreturn]] static void fail(const Module& module, const std::string& why) {
    throw Error({.stage = Stage::kInjection,
                 .message = (module.type.empty() ? "the module" : module.type) + " at `" +
                            module.path + "` " + why});
  }

  const ModelData& model_;
  const RegionFinder& finder_;
  const Method& method_;
  const AdapterConfig& config_;
  LayerOptions& options_;
  const PluginRegistry& plugins_;
  std::map<std::string_view, const RecordedLayer*> recorded_;  // by module path
  OwnedTensors owned_;
  std::vector<bool> reachable_;
};

std::map<std::string_view, ModuleId> ids_by_path(const ModuleTree& tree) {
  std::map<std::string_view, ModuleId> ids;
  for (std::size_t i = 0; i < tree.modules.size(); ++i) {
    ids.emplace(tree.modules[i].path, static_cast<ModuleId>(i));
  }
  return ids;
}

bool is_pytorch_type(const std::string& type) { return type.starts_with("torch.nn."); }

// Modules to save must run too: what is trained and never used is a fault.
void check_saved(const ModelData& model, const RegionFinder& finder, ModuleId id,
                 std::vector<std::string>& problems) {
  const std::string& path = model.tree.modules[static_cast<std::size_t>(id)].path;
  const std::vector<OwnedTensor> owned = OwnedTensors(model.tensors).of(path);
  if (owned.empty()) {
    problems.push_back("`" + path + "` in modules_to_save has no parameters to train");
    return;
  }
  std::set<std::int32_t> used;
  for (const Region& region : finder.find(id)) {
    used.insert(region.tensors.begin(), region.tensors.end());
  }
  if (std::none_of(owned.begin(), owned.end(),
                   [&](const OwnedTensor& one) { return used.contains(one.tensor); })) {
    problems.push_back("`" + path +
                       "` in modules_to_save is never run by the model's forward, so training it "
                       "would do nothing");
  }
}

}  // namespace

InjectionPlan plan_injection(const ModelData& model, const AdapterConfig& wanted,
                             const PluginRegistry& plugins,
                             const std::vector<RecordedLayer>& recorded) {
  std::vector<std::string> paths;
  for (const Module& module : model.tree.modules) {
    if (!module.path.empty()) paths.push_back(module.path);
  }
  ResolvedTargets resolved = resolve_targets(wanted, model);
  const MethodConfig method = with_method(resolved.config, plugins.methods());
  const AdapterConfig& config = method.config;
  const TargetMatch match = match_targets(config, paths);
  LayerOptions options(method, match.targeted);

  InjectionPlan plan{config, method.method, {}, {}, std::move(resolved.notes)};
  plan.notes.insert(plan.notes.end(), match.notes.begin(), match.notes.end());
  std::vector<std::string> problems;
  std::vector<std::string> hints;
  std::set<std::string> noticed;
  std::vector<std::string> adapted;
  const RegionFinder finder(model);
  const LayerPlanner planner(model, finder, method, options, plugins, recorded);
  const std::map<std::string_view, ModuleId> ids = ids_by_path(model.tree);
  for (const std::string& path : match.targeted) {
    const ModuleId id = ids.at(path);
    try {
      plan.layers.push_back(planner.plan(id, plan.notes));
      adapted.push_back(path);
    } catch (const Error& error) {
      if (config.skip_unsupported || resolved.all_linear) {
        plan.notes.push_back("skipped: " + error.failure().message);
      } else {
        problems.push_back(error.failure().message);
        if (!error.failure().hint.empty()) hints.push_back(error.failure().hint);
      }
      continue;
    }
    const std::string& type = model.tree.modules[static_cast<std::size_t>(id)].type;
    const bool is_ours = plan.layers.back().layer_type->plugin().origin == kBuiltInOrigin;
    if (!is_pytorch_type(type) && !is_ours && noticed.insert(type).second) {
      plan.notes.push_back(type + " is not one of PyTorch's own types; it is adapted by " +
                           plan.layers.back().layer_type->id() + ": proceed with care");
    }
  }
  if (resolved.all_linear) plan.config.target_modules = std::move(adapted);
  options.throw_problems();
  for (std::string& problem : settle_shared_parameters(plan.layers)) {
    problems.push_back(std::move(problem));
  }
  for (const std::string& path : match.saved) {
    plan.saved.push_back(ids.at(path));
    check_saved(model, finder, plan.saved.back(), problems);
  }
  for (const RefusedPlugin& refused : plugins.refused()) {
    if (!problems.empty()) {
      hints.push_back("a plugin was refused: " + refused.path.string() + ": " + refused.reason);
    }
  }
  if (problems.empty() && plan.layers.empty()) {
    problems = {"no targeted layer can be adapted:\n  - " + join(plan.notes, "\n  - ")};
  }
  if (problems.empty()) return plan;
  throw Error({.stage = Stage::kInjection,
               .message = problems.size() == 1
                              ? problems.front()
                              : std::to_string(problems.size()) +
                                    " layers cannot be adapted:\n  - " + join(problems, "\n  - "),
               .hint = join(hints, "\n  "),
               .location = config.location});
}

}  // namespace tenon
