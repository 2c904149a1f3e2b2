#include "plan/injection_plan.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "base/suggest.h"
#include "graph/owned_tensors.h"
#include "model/tensor_reads.h"
#include "plan/exact_targets.h"
#include "plan/grouped_texts.h"
#include "plan/idle_modules.h"
#include "plan/layer_options.h"
#include "plan/layer_planner.h"
#include "plan/method_config.h"
#include "plan/module_aliases.h"
#include "plan/resolved_targets.h"
#include "plan/shared_parameters.h"
#include "plan/tied_layers.h"
#include "plan/tied_targets.h"
#include "plan/token_rows.h"
#include "plan/weight_targets.h"
#include "targets/module_names.h"
#include "targets/target_matcher.h"

namespace tenon {
namespace {

std::map<std::string_view, ModuleId> ids_by_path(const ModuleTree& tree) {
  std::map<std::string_view, ModuleId> ids;
  for (std::size_t i = 0; i < tree.modules.size(); ++i) {
    ids.emplace(tree.modules[i].path, static_cast<ModuleId>(i));
  }
  return ids;
}

bool is_pytorch_type(const std::string& type) { return type.starts_with("torch.nn."); }

// Whether what a module owns is read in its calls, or elsewhere by no other name (saved_sites).
bool is_used(const ModelData& model, const SubgraphFinder& finder, ModuleId id,
             const std::vector<OwnedTensor>& owned) {
  std::set<std::int32_t> used;
  for (const Subgraph& subgraph : finder.find(id)) {
    used.insert(subgraph.tensors.begin(), subgraph.tensors.end());
  }
  for (const auto& [tensor, readers] : readers_by_tensor(model.graph)) {
    if (model.tensors[static_cast<std::size_t>(tensor)].aliases.empty()) used.insert(tensor);
  }
  return std::ranges::any_of(owned,
                             [&](const OwnedTensor& one) { return used.contains(one.tensor); });
}

// Modules to save must run too: what is trained and never used is a fault.
void check_saved(const ModelData& model, const SubgraphFinder& finder, ModuleId id,
                 std::vector<std::string>& problems) {
  const std::string& path = model.tree.at(id).path;
  const std::vector<OwnedTensor> owned = OwnedTensors(model.tensors).of(path);
  if (std::ranges::none_of(owned, [&](const OwnedTensor& one) {
        return model.tensors[static_cast<std::size_t>(one.tensor)].persistent;
      })) {
    problems.push_back("`" + path + "` in modules_to_save has no parameters to train");
    return;
  }
  if (!is_used(model, finder, id, owned)) {
    problems.push_back("`" + path +
                       "` in modules_to_save has no operator that uses its parameters: its result "
                       "is unused, or the export left it out; training it would do nothing");
  }
  for (const auto& mutation : model.graph.mutations) {
    const std::int32_t held = model.graph.values[static_cast<std::size_t>(mutation.first)].tensor;
    const auto one = std::ranges::find(owned, held, &OwnedTensor::tensor);
    if (one == owned.end()) continue;
    problems.push_back("`" + path + "` in modules_to_save: the program writes its `" + one->name +
                       "` at the end of each forward, outside the module, as run_decompositions() "
                       "leaves it, so that a copy of the module would not be trained with it; "
                       "export without run_decompositions()");
    return;
  }
}

// Each line of a hint, if it is new.
void add_lines_once(const std::string& hint, std::vector<std::string>& hints) {
  constexpr std::string_view kEnd = "\n  ";
  for (std::size_t at = 0; at < hint.size();) {
    const std::size_t end = std::min(hint.find(kEnd, at), hint.size());
    const std::string line = hint.substr(at, end - at);
    if (std::ranges::count(hints, line) == 0) hints.push_back(line);
    at = end + kEnd.size();
  }
}

// The record of a saved adapter tells its layers, where PEFT's config can name them only with
// others: of methods without layers_to_transform, or where a layer was left out as not supported.
bool is_unrecorded(const AdapterConfig& config, const std::vector<RecordedLayer>& recorded,
                   const std::string& path) {
  return config.optional_keys.contains("target_modules") && !recorded.empty() &&
         std::ranges::count(recorded, path, &RecordedLayer::name) == 0;
}

// Modules that are saved for what a training forward writes in them, their parameters frozen.
void plan_statistics(const ModelData& model, const std::map<std::string_view, ModuleId>& ids,
                     InjectionPlan& plan, std::vector<std::string>& problems) {
  const auto path_of = [&](ModuleId id) { return model.tree.at(id).path; };
  const std::vector<ModuleId> saved = plan.saved;
  for (const std::string& path : plan.config.statistics_of) {
    if (std::ranges::any_of(saved, [&](ModuleId id) { return lies_in(path, path_of(id)); })) {
      continue;
    }
    const bool is_adapted = std::ranges::any_of(plan.layers, [&](const PlannedLayer& layer) {
      return lies_in(path_of(layer.module), path);
    });
    if (is_adapted) {
      problems.push_back("the statistics of `" + path +
                         "` cannot be trained and saved while a layer in it is adapted; leave "
                         "[train] batch_norm = \"frozen\"");
      continue;
    }
    plan.saved.push_back(ids.at(path));
    plan.frozen.push_back(ids.at(path));
  }
}

// A model has few different tables of options and many layers.
void share_option_tables(std::vector<PlannedLayer>& layers) {
  std::vector<std::shared_ptr<const OptionTable>> tables;
  const auto share = [&](std::shared_ptr<const OptionTable>& table) {
    const auto same = std::ranges::find_if(
        tables, [&](const std::shared_ptr<const OptionTable>& other) { return *other == *table; });
    same == tables.end() ? tables.push_back(table) : void(table = *same);
  };
  for (PlannedLayer& layer : layers) {
    share(layer.options);
    share(layer.own_options);
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
  const MethodTable& methods = plugins.methods();
  const Method* known = methods.of(wanted);
  ResolvedTargets resolved =
      resolve_targets(wanted, model, plugins.supported_types(wanted.method),
                      known == nullptr ? DefaultTargets() : known->default_targets());
  MethodConfig method = with_method(resolved.config, methods, recorded);
  const TiedTargets tied = tie_targets(model, method, paths);
  method.config = tied.config;
  const AdapterConfig& config = method.config;
  const TargetMatch match = match_targets(config, paths, parameter_names(model));
  std::vector<std::string> named = match.targeted;
  named.insert(named.end(), match.parameters.begin(), match.parameters.end());
  LayerOptions options(method, named);

  InjectionPlan plan{config, method.method, {}, {}, {}, std::move(resolved.notes), {}};
  plan.notes.insert(plan.notes.end(), match.notes.begin(), match.notes.end());
  plan.notes.insert(plan.notes.end(), tied.notes.begin(), tied.notes.end());
  plan.notes.insert(plan.notes.end(), options.notes().begin(), options.notes().end());
  std::vector<std::string> problems = tied.problems;
  GroupedTexts refused;
  GroupedTexts skipped;
  GroupedTexts idle;
  std::vector<std::string> hints;
  std::set<std::string> noticed;
  std::vector<std::string> adapted;
  const SubgraphFinder finder(model);
  const IdleModules idle_modules(model, finder);
  // What a saved adapter has for a module that does nothing is kept; a user's own rule is refused.
  const auto leave_out_idle = [&](const std::string& key, const std::string& path,
                                  const std::string& why) {
    if (why.empty() || !config.optional_keys.contains(key)) return false;
    idle.add(path, "the adapter's tensors for `" + path + "` stay unused, as in PEFT: it " + why +
                       "; they are kept when the adapter is saved again");
    plan.idle.push_back(path);
    return true;
  };
  const auto refuse = [&](const std::string& path, const Error& error) {
    refused.add(path, error.failure().message);
    add_lines_once(error.failure().hint, hints);
  };
  const LayerPlanner planner(model, finder, method, options, plugins, recorded);
  const std::map<std::string_view, ModuleId> ids = ids_by_path(model.tree);
  for (const std::string& path : match.targeted) {
    const ModuleId id = ids.at(path);
    if (leave_out_idle("target_modules", path, idle_modules.why(id))) continue;
    if (is_unrecorded(config, recorded, path)) continue;
    try {
      plan.layers.push_back(planner.plan(id, plan.notes));
      adapted.push_back(path);
    } catch (const Error& error) {
      if (config.skip_unsupported || resolved.all_linear) {
        skipped.add(path, "skipped: " + error.failure().message);
      } else {
        refuse(path, error);
      }
      continue;
    }
    const std::string& type = model.tree.at(id).type;
    const bool is_ours = plan.layers.back().layer_type->plugin().origin == kBuiltInOrigin;
    if (!is_pytorch_type(type) && !is_ours && noticed.insert(type).second) {
      plan.notes.push_back(type + " is not one of PyTorch's own types; it is adapted by " +
                           plan.layers.back().layer_type->id() + ": proceed with care");
    }
  }
  for (const ParameterTargets& targets : by_module(model, match.parameters)) {
    if (leave_out_idle("target_parameters", targets.module, idle_modules.why(targets))) continue;
    if (is_unrecorded(config, recorded, targets.module)) continue;
    try {
      plan.layers.push_back(planner.plan(targets, plan.notes));
    } catch (const Error& error) {
      refuse(targets.module, error);
    }
  }
  if (resolved.all_linear) plan.config.target_modules = exact_targets(model.tree, adapted);
  options.throw_problems();
  for (std::string& problem : settle_shared_parameters(plan.layers)) {
    problems.push_back(std::move(problem));
  }
  for (const std::string& path : match.saved) {
    const ModuleId id = ids.at(path);
    const bool used = is_used(model, finder, id, OwnedTensors(model.tensors).of(path));
    if (!used && leave_out_idle("modules_to_save", path, idle_modules.why(id))) continue;
    plan.saved.push_back(id);
    check_saved(model, finder, id, problems);
  }
  for (const GroupedTexts* told : {&skipped, &idle}) {
    const std::vector<std::string> texts = told->texts();
    plan.notes.insert(plan.notes.end(), texts.begin(), texts.end());
  }
  plan_statistics(model, ids, plan, problems);
  for (const ModuleId id : plan.frozen) check_saved(model, finder, id, problems);
  tie_parameters(tied, model.tree, plan, problems);
  plan_token_rows(model, planner, plugins, plan, problems);
  check_tied_layers(model, plan, problems);
  for (std::string& note : alias_notes(model, plan)) plan.notes.push_back(std::move(note));
  for (PlannedLayer& layer : plan.layers) layer.in_base_dtype = !config.autocast_adapter_dtype;
  share_option_tables(plan.layers);
  const std::size_t count = problems.size() + refused.size();
  for (std::string& text : refused.texts()) problems.push_back(std::move(text));
  for (const RefusedPlugin& plugin : plugins.refused()) {
    if (!problems.empty()) {
      hints.push_back("a plugin was refused: " + plugin.path.string() + ": " + plugin.reason);
    }
  }
  if (problems.empty() && plan.layers.empty()) {
    problems = {"no targeted layer can be adapted:\n  - " + join(plan.notes, "\n  - ")};
  }
  if (problems.empty()) return plan;
  throw Error({.stage = Stage::kInjection,
               .message = problems.size() == 1
                              ? problems.front()
                              : std::to_string(count) + " layers cannot be adapted:\n  - " +
                                    join(problems, "\n  - "),
               .hint = join(hints, "\n  "),
               .location = config.location});
}

}  // namespace tenon
