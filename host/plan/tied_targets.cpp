#include "plan/tied_targets.h"

#include <algorithm>
#include <set>

#include "base/lists.h"
#include "base/suggest.h"
#include "plan/factor_keys.h"
#include "plan/tied_layers.h"
#include "plan/token_rows.h"
#include "plan/weight_targets.h"
#include "targets/name_patterns.h"
#include "targets/rule_matcher.h"

namespace tenon {
namespace {

std::string pair_of(const std::string& one, const std::string& other) {
  return "`" + one + "` and `" + other + "` share their weight";
}

// The layers that have a layer's `weight` as their own `weight`, itself included, in model order.
std::vector<ModuleId> weight_sharers(const ModelData& model, ModuleId id) {
  std::vector<ModuleId> sharers = {id};
  for (const ModuleId other : tied_modules(model, id)) {
    const bool shares = std::ranges::any_of(model.tensors, [&](const ModelTensor& tensor) {
      return tensor.name_in(model.tree.at(id).path) == "weight" &&
             tensor.name_in(model.tree.at(other).path) == "weight";
    });
    if (shares) sharers.push_back(other);
  }
  std::ranges::sort(sharers);
  return sharers;
}

// Another matrix that the layer shares: one that the adapter may change, and that is not tied.
std::string other_shared_matrix(const ModelData& model, ModuleId id) {
  for (const ModuleId other : tied_modules(model, id)) {
    for (const ModelTensor& tensor : model.tensors) {
      const auto name = tensor.name_in(model.tree.at(id).path);
      const auto there = tensor.name_in(model.tree.at(other).path);
      if (!name || !there || tensor.tensor.dim() < 2) continue;
      if (*name != "weight" || *there != "weight") return *name;
    }
  }
  return "";
}

// PEFT: get_input_embeddings.
ModuleId owner_of(const ModelData& model, const std::vector<ModuleId>& sharers) {
  const ModuleId input = input_embedding(model);
  if (std::ranges::find(sharers, input) != sharers.end()) return input;
  const auto embedding = std::ranges::find_if(
      sharers, [&](ModuleId id) { return model.tree.at(id).type == "torch.nn.Embedding"; });
  return embedding == sharers.end() ? sharers.front() : *embedding;
}

void add_target(const std::string& path, ModuleRule& rule) {
  if (auto* regex = std::get_if<Regex>(&rule)) {
    regex->pattern = "(?:" + regex->pattern + ")|" + exact_pattern(path);
  } else {
    std::get<std::vector<std::string>>(rule).push_back(path);
  }
}

// "start = "of_base"", by the method's key
std::string start_of(const FactorKeys& keys) {
  return keys.start_key() + " = " + keys.start_text();
}

class TargetTier {
 public:
  TargetTier(const ModelData& model, const MethodConfig& method, const TargetMatch& match)
      : model_(model),
        method_(*method.method),
        match_(match),
        excluded_("exclude_modules", method.config.exclude_modules) {
    tied_.config = method.config;
  }

  TiedTargets tie_all() {
    std::set<ModuleId> done;
    for (const std::string& path : match_.targeted) {
      const ModuleId id = model_.tree.find(path);
      const std::string matrix = other_shared_matrix(model_, id);
      if (!matrix.empty()) {
        tied_.problems.push_back(std::string("`").append(path).append("` shares its `") + matrix +
                                 "` with another layer, and ensure_weight_tying ties adapters of "
                                 "Embedding and Linear by their `weight` only; leave "
                                 "ensure_weight_tying or the layer out");
      }
      const std::vector<ModuleId> sharers = weight_sharers(model_, id);
      // What is saved whole is told elsewhere.
      if (sharers.size() == 1 || std::ranges::any_of(sharers, [&](ModuleId each) {
            return is_in(match_.saved, model_.tree.at(each).path);
          })) {
        continue;
      }
      if (!done.insert(sharers.front()).second) continue;
      const std::string& owner = model_.tree.at(owner_of(model_, sharers)).path;
      for (const ModuleId each : sharers) {
        if (model_.tree.at(each).path != owner) tie(owner, model_.tree.at(each).path);
      }
    }
    AdapterConfig& config = tied_.config;
    if (apart_ && tied_.owners.empty() && config.modules_to_save.empty() &&
        config.trainable_tokens.empty()) {
      config.ensure_weight_tying = false;
    }
    return std::move(tied_);
  }

 private:
  void tie(const std::string& owner, const std::string& follower) {
    const std::optional<SavedTies>& saved = tied_.config.saved_ties;
    if (saved && !saved->pairs.contains({owner, follower})) return leave_apart(owner, follower);
    const FactorKeys keys(method_, tied_.config.method_keys);
    const FactorStart* start = keys.start();
    // Of a saved adapter it no longer matters, unless the base changed.
    if (start != nullptr && (start->changes_base || (start->of_layer && !saved))) {
      tied_.problems.push_back(pair_of(owner, follower) + ", and " + start_of(keys) +
                               " starts each adapter from its own layer, so ensure_weight_tying "
                               "cannot tie them; take one that draws numbers at random");
      return;
    }
    const bool owner_is_target = target(owner, follower);
    const bool follower_is_target = target(follower, owner);
    if (owner_is_target && follower_is_target) tied_.owners[follower] = owner;
  }

  // A saved adapter that does not hold them tied is what its tensors are.
  void leave_apart(const std::string& owner, const std::string& follower) {
    const SavedTies& saved = *tied_.config.saved_ties;
    apart_ = true;
    const FactorKeys keys(method_, tied_.config.method_keys);
    if (keys.changes_base()) {
      tied_.problems.push_back(pair_of(owner, follower) + ", and " + start_of(keys) +
                               " changed it for both, which cannot be made again");
    } else if (saved.layers.contains(owner) && saved.layers.contains(follower)) {
      target(owner, follower);
      target(follower, owner);
      tied_.notes.push_back(pair_of(owner, follower) +
                            ", but the adapter's tensors for the two differ: they were trained "
                            "apart, in spite of ensure_weight_tying, and run so here");
    } else {
      tied_.notes.push_back(pair_of(owner, follower) +
                            "; the adapter is on one of them alone, in spite of "
                            "ensure_weight_tying, and runs so here");
    }
  }

  // Whether the layer is adapted.
  bool target(const std::string& path, const std::string& other) {
    if (excluded_.matches(path)) {
      tied_.problems.push_back(pair_of(path, other) +
                               ", and ensure_weight_tying adapts both, but the first is in "
                               "exclude_modules; take it out, or leave ensure_weight_tying out");
      return false;
    }
    if (!is_in(match_.targeted, path) && !is_in(added_, path)) {
      added_.push_back(path);
      add_target(path, tied_.config.target_modules);
    }
    return true;
  }

  const ModelData& model_;
  const Method& method_;
  const TargetMatch& match_;
  RuleMatcher excluded_;
  TiedTargets tied_;
  std::vector<std::string> added_;
  bool apart_ = false;
};

// Returns what is in the way.
std::string tie_layer(const PlannedLayer& owner, bool keeps_start, PlannedLayer& layer) {
  const FactorForm* owners = owner.layer_type->factors();
  const FactorForm* own = layer.layer_type->factors();
  if (owners == nullptr || own == nullptr) {
    return "ensure_weight_tying ties adapters of one pair of factors, as those of Embedding and "
           "Linear, not those of " +
           owner.layer_type->id() + " and " + layer.layer_type->id();
  }
  const bool transposed = owners->transposed != own->transposed;
  layer.tied.assign(layer.parameters.size(), std::nullopt);
  for (const bool is_down : {true, false}) {
    const auto factor =
        std::ranges::find(layer.parameters, is_down ? own->down : own->up, &ParameterSpec::name);
    const auto found = std::ranges::find(
        owner.parameters, is_down != transposed ? owners->down : owners->up, &ParameterSpec::name);
    if (factor == layer.parameters.end() || found == owner.parameters.end()) {
      return "ensure_weight_tying ties their two factors, which " + owner.layer_type->id() +
             " and " + layer.layer_type->id() + " do not both have";
    }
    std::vector<std::int64_t> shape = found->shape;
    if (transposed) std::ranges::reverse(shape);
    if (shape != factor->shape) {
      return "rank_pattern gives them different ranks, so ensure_weight_tying cannot tie their "
             "adapters; give both one rank";
    }
    layer.tied[static_cast<std::size_t>(factor - layer.parameters.begin())] = {
        static_cast<std::size_t>(found - owner.parameters.begin()), transposed};
  }
  layer.tied_to = owner.module;
  layer.keeps_tied_start = keeps_start;
  layer.changes_alike = layer.parameters.size() == 2 && owner.parameters.size() == 2 &&
                        owner.scaling == layer.scaling;
  return "";
}

}  // namespace

TiedTargets tie_targets(const ModelData& model, const MethodConfig& method,
                        const std::vector<std::string>& paths) {
  const AdapterConfig& config = method.config;
  const bool ties = std::ranges::any_of(
      model.tensors, [](const ModelTensor& tensor) { return !tensor.aliases.empty(); });
  const bool has_rule = !std::holds_alternative<std::monostate>(config.target_modules);
  const bool has_factors = method.method->factors() != nullptr;
  if (!config.ensure_weight_tying || !ties || !has_rule || !has_factors) {
    return {config, {}, {}, {}};
  }
  const TargetMatch match = match_targets(config, paths, parameter_names(model));
  return TargetTier(model, method, match).tie_all();
}

void tie_parameters(const TiedTargets& tied, const ModuleTree& tree, InjectionPlan& plan,
                    std::vector<std::string>& problems) {
  if (tied.owners.empty()) return;
  const bool keeps_start = FactorKeys(*plan.method, plan.config.method_keys).starts_at_random();
  const auto planned = [&](const std::string& path) {
    return std::ranges::find(plan.layers, tree.find(path), &PlannedLayer::module);
  };
  for (const auto& [follower, owner] : tied.owners) {
    const auto one = planned(owner);
    const auto other = planned(follower);
    if (one == plan.layers.end() || other == plan.layers.end()) {
      problems.push_back(pair_of(owner, follower) +
                         ", and ensure_weight_tying adapts both or none: one of them cannot be");
      continue;
    }
    const std::string problem = tie_layer(*one, keeps_start, *other);
    if (!problem.empty()) problems.push_back(pair_of(owner, follower) + "; " + problem);
  }
  std::stable_partition(plan.layers.begin(), plan.layers.end(),
                        [](const PlannedLayer& layer) { return layer.tied_to == kNoModule; });
}

}  // namespace tenon
