#include "plan/token_rows.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/suggest.h"
#include "graph/graph_walk.h"
#include "plan/tied_layers.h"
#include "targets/module_names.h"

namespace tenon {
namespace {

constexpr const char* kType = "torch.nn.Embedding";

// The values that are a caller's input, as it is or only rearranged.
std::set<ValueId> input_values(const Graph& graph) {
  static const std::set<std::string_view> rearranging{
      "aten::view",  "aten::reshape", "aten::to",    "aten::_to_copy", "aten::long",
      "aten::clamp", "aten::int",     "aten::slice", "aten::flatten"};
  std::set<ValueId> values(graph.inputs.begin(), graph.inputs.end());
  for (const Node& node : graph.nodes) {
    if (!rearranging.contains(node.target) || node.arguments.empty()) continue;
    const auto* source = std::get_if<ValueId>(&node.arguments.front().value.value);
    if (source == nullptr || !values.contains(*source)) continue;
    for_each_write(node, [&](ValueId id) { values.insert(id); });
  }
  return values;
}

// The modules that look up rows themselves, torch.nn.Embedding or a class of its kind.
std::set<ModuleId> embeddings_of(const Graph& graph) {
  std::set<ModuleId> modules;
  for (const Node& node : graph.nodes) {
    const bool looks_up = node.target == "aten::embedding" && !node.module_stack.empty();
    if (looks_up) modules.insert(node.module_stack.back());
  }
  return modules;
}

// A module that never runs holds the table of others, which do.
ModuleId running(const ModelData& model, ModuleId id) {
  if (model.tree.at(id).runs) return id;
  const std::vector<ModuleId> tied = tied_modules(model, id);
  const ModuleId input = input_embedding(model);
  return std::ranges::find(tied, input) == tied.end() ? id : input;
}

// A list is for the input embedding, a table names modules by path or suffix.
std::vector<ModuleId> meant(const ModelData& model, const TokenRows& rule) {
  std::vector<ModuleId> modules;
  if (rule.module.empty()) {
    const ModuleId input = input_embedding(model);
    if (input != kNoModule) modules.push_back(input);
    return modules;
  }
  for (std::size_t i = 0; i < model.tree.modules.size(); ++i) {
    if (is_named(model.tree.modules[i].path, rule.module)) {
      modules.push_back(running(model, static_cast<ModuleId>(i)));
    }
  }
  return modules;
}

std::string missing(const ModelData& model, const TokenRows& rule) {
  if (rule.module.empty()) {
    return "trainable_token_indices is a list, and the model has no embedding of its input; name "
           "the module: {module = [rows]}";
  }
  std::vector<std::string> paths;
  for (const Module& module : model.tree.modules) paths.push_back(module.path);
  const std::string suggestion = did_you_mean(rule.module, paths);
  return "`" + rule.module + "` in trainable_token_indices is no module of the model" +
         (suggestion.empty() ? "" : "; " + suggestion);
}

// transformers' models keep tied weights tied (PEFT: tie_word_embeddings); others are told.
bool keeps_tied(const ModelData& model, const AdapterConfig& config) {
  return config.ensure_weight_tying || model.tree.modules.front().type.starts_with("transformers.");
}

class TokenPlanner {
 public:
  TokenPlanner(const ModelData& model, const LayerPlanner& planner, const LayerType& layer_type,
               InjectionPlan& plan, std::vector<std::string>& problems)
      : model_(model),
        planner_(planner),
        layer_type_(layer_type),
        plan_(plan),
        problems_(problems) {}

  void plan_all() {
    for (const TokenRows& rule : plan_.config.trainable_tokens) {
      const std::vector<ModuleId> modules = meant(model_, rule);
      if (modules.empty()) problems_.push_back(missing(model_, rule));
      for (const ModuleId id : modules) rows_[id] = &rule.tokens;
    }
    for (const auto& [id, tokens] : rows_) {
      if (!follows_ || !is_follower(id)) add(id, *tokens, kNoModule);
    }
  }

 private:
  // Of two tied modules with the same rows, one has them and the other follows.
  bool is_follower(ModuleId id) const {
    if (embeddings_.contains(id)) return false;
    const auto tied = tied_modules(model_, id);
    return std::ranges::any_of(tied, [&](ModuleId other) {
      const auto known = rows_.find(other);
      return known != rows_.end() && embeddings_.contains(other) && *known->second == *rows_.at(id);
    });
  }

  void add(ModuleId id, const std::vector<std::int64_t>& tokens, ModuleId shares_parameters_with) {
    const Module& module = model_.tree.at(id);
    if (!may_have(id, module)) return;
    try {
      plan_.layers.push_back(planner_.plan(id, layer_type_,
                                           {{"token_indices", tokens},
                                            {"init_weights", true},
                                            {"prefix", std::string("token_adapter.")}}));
    } catch (const Error& error) {
      return problems_.push_back(error.failure().message);
    }
    plan_.layers.back().own_options =
        std::make_shared<const OptionTable>(OptionTable{{"prefix", std::string("token_adapter.")}});
    plan_.layers.back().shares_parameters_with = shares_parameters_with;
    if (shares_parameters_with == kNoModule) follow(id, module, tokens);
  }

  bool may_have(ModuleId id, const Module& module) {
    const auto is_saved = [&](ModuleId saved) {
      return lies_in(module.path, model_.tree.at(saved).path);
    };
    if (std::ranges::any_of(plan_.saved, is_saved)) {
      problems_.push_back("`" + module.path +
                          "` is in modules_to_save, which trains it whole, and in "
                          "trainable_token_indices; give one of them");
      return false;
    }
    if (std::ranges::find(plan_.layers, id, &PlannedLayer::module) != plan_.layers.end()) {
      problems_.push_back("`" + module.path +
                          "` is in target_modules and in trainable_token_indices; give one of "
                          "them");
      return false;
    }
    return true;
  }

  void follow(ModuleId id, const Module& module, const std::vector<std::int64_t>& tokens) {
    for (const ModuleId other : tied_modules(model_, id)) {
      const std::string& path = model_.tree.at(other).path;
      const auto own = rows_.find(other);
      if (own != rows_.end() && *own->second != tokens) {
        if (!plan_.config.ensure_weight_tying) continue;
        problems_.push_back("`" + module.path + "` and `" + path +
                            "` are tied, but trainable_token_indices names other rows for each, "
                            "and ensure_weight_tying is set");
      } else if (embeddings_.contains(id) && keeps_tied(model_, plan_.config)) {
        add(other, tokens, id);
      } else {
        plan_.notes.push_back("`" + path + "` is tied to `" + module.path +
                              "` and keeps the rows as they were; ensure_weight_tying = true "
                              "changes them there too");
      }
    }
  }

  const ModelData& model_;
  const LayerPlanner& planner_;
  const LayerType& layer_type_;
  InjectionPlan& plan_;
  std::vector<std::string>& problems_;
  std::map<ModuleId, const std::vector<std::int64_t>*> rows_;
  bool follows_ = keeps_tied(model_, plan_.config);
  std::set<ModuleId> embeddings_ = embeddings_of(model_.graph);
};

}  // namespace

ModuleId input_embedding(const ModelData& model) {
  const std::set<ValueId> inputs = input_values(model.graph);
  for (const Node& node : model.graph.nodes) {
    if (node.target != "aten::embedding" || node.arguments.size() < 2) continue;
    const auto* rows = std::get_if<ValueId>(&node.arguments[1].value.value);
    if (rows != nullptr && inputs.contains(*rows) && !node.module_stack.empty()) {
      return node.module_stack.back();
    }
  }
  return kNoModule;
}

std::string rows_in_file(const ModelData& model, const AdapterConfig& config, ModuleId embedding) {
  const std::string& path = model.tree.at(embedding).path;
  if (embedding != input_embedding(model)) return path;
  for (std::size_t i = 0; i < model.tree.modules.size(); ++i) {
    const Module& holder = model.tree.modules[i];
    if (holder.runs || running(model, static_cast<ModuleId>(i)) != embedding) continue;
    const bool is_wanted = std::ranges::any_of(config.trainable_tokens, [&](const auto& rule) {
      return rule.module.empty() || is_named(holder.path, rule.module);
    });
    if (is_wanted) return holder.path;
  }
  return path;
}

void plan_token_rows(const ModelData& model, const LayerPlanner& planner,
                     const PluginRegistry& plugins, InjectionPlan& plan,
                     std::vector<std::string>& problems) {
  if (plan.config.trainable_tokens.empty()) return;
  const LayerType* layer_type = plugins.find(kTokenMethod, kType);
  if (layer_type == nullptr) {
    problems.emplace_back(
        "trainable_token_indices needs a plugin for method trainable_tokens and "
        "torch.nn.Embedding; there is none");
    return;
  }
  TokenPlanner(model, planner, *layer_type, plan, problems).plan_all();
}

}  // namespace tenon
