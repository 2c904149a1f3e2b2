#include "model/export_notes.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "interpreter/mode_flags.h"

#include "graph/graph_walk.h"

namespace tenon {
namespace {

constexpr std::array<std::string_view, 9> kDropouts{"aten::dropout",
                                                    "aten::dropout_",
                                                    "aten::feature_dropout",
                                                    "aten::alpha_dropout",
                                                    "aten::alpha_dropout_",
                                                    "aten::feature_dropout_",
                                                    "aten::native_dropout",
                                                    "aten::feature_alpha_dropout",
                                                    "aten::feature_alpha_dropout_"};

constexpr std::array<std::string_view, 18> kDraws{
    "aten::bernoulli", "aten::bernoulli_", "aten::rand",         "aten::rand_like",
    "aten::randn",     "aten::randn_like", "aten::randint",      "aten::randint_like",
    "aten::randperm",  "aten::normal",     "aten::normal_",      "aten::uniform",
    "aten::uniform_",  "aten::random_",    "aten::exponential_", "aten::multinomial",
    "aten::poisson",   "aten::geometric_"};

// What run_decompositions makes of batch_norm in evaluation, and in training.
constexpr std::string_view kOnlyEvaluation = "aten::_native_batch_norm_legit_no_training";
constexpr std::array<std::string_view, 2> kOnlyTraining{"aten::_batch_norm_with_update",
                                                        "aten::_batch_norm_with_update_functional"};

// The usual names of layers that drop whole branches; in evaluation they run no operator.
constexpr std::array<std::string_view, 3> kBranchDrops{"drop_path", "droppath", "stochastic_depth"};

// "`a.b` and 3 more": where something was found.
class Places {
 public:
  void add(const std::string& path) {
    if (std::find(paths_.begin(), paths_.end(), path) == paths_.end()) paths_.push_back(path);
  }
  bool empty() const { return paths_.empty(); }
  std::string text() const {
    const std::string first =
        paths_.front().empty() ? "the model itself" : "`" + paths_.front() + "`";
    if (paths_.size() == 1) return first;
    return first + " and " + std::to_string(paths_.size() - 1) + " more";
  }

 private:
  std::vector<std::string> paths_;
};

class Survey {
 public:
  explicit Survey(const ModelData& model) : model_(model) {
    look_at(model.graph);
    for (const Module& module : model.tree.modules) {
      if (!module.runs && drops_branches(module.path)) branch_drops_.add(module.path);
    }
  }

  // What holds of every forward, in evaluation too.
  std::vector<std::string> evaluation_notes() const {
    std::vector<std::string> notes;
    add_draws(notes);
    add_fixed_training(notes);
    return notes;
  }

  std::vector<std::string> notes() const {
    std::vector<std::string> notes;
    add_draws(notes);
    // Of a model without any flag nobody knows how it was exported.
    const bool in_training = exported_in_training_.value_or(false);
    if (!dropouts_.empty() && !in_training) {
      notes.push_back(
          "the export was made in eval(); training switches its dropout on, as "
          "train() does: " +
          dropouts_.text());
    }
    if (!attentions_.empty() && !in_training) {
      notes.push_back(
          "the dropout of attention, if it had any, is not in this export, so that "
          "training goes without: " +
          attentions_.text() + "; an export in train() keeps it");
    }
    if (!branch_drops_.empty() && !in_training) {
      notes.push_back("stochastic depth is not in this export, so that training goes without: " +
                      branch_drops_.text() + " runs no operator");
    }
    if (!only_evaluation_.empty()) {
      notes.push_back(
          "run_decompositions fixed BatchNorm to evaluation, so that its statistics "
          "cannot be trained: " +
          only_evaluation_.text() + "; export without it");
    }
    add_fixed_training(notes);
    return notes;
  }

 private:
  void add_draws(std::vector<std::string>& notes) const {
    if (!draws_.empty()) {
      notes.push_back("random numbers are drawn in every forward, in evaluation too, by " +
                      draws_.text() +
                      "; where they come from an export in train() (stochastic depth), export in "
                      "eval() for a model without them");
    }
  }

  void add_fixed_training(std::vector<std::string>& notes) const {
    if (!only_training_.empty()) {
      notes.push_back(
          "run_decompositions fixed BatchNorm to training, so that it normalises by "
          "the batch in evaluation too: " +
          only_training_.text() + "; export without it, or in eval()");
    }
  }

  static bool drops_branches(std::string_view path) {
    const std::string_view name = path.substr(path.rfind('.') + 1);
    return std::any_of(kBranchDrops.begin(), kBranchDrops.end(),
                       [&](std::string_view drop) { return name.find(drop) != name.npos; });
  }

  void look_at(const Graph& graph) {
    for (const Node& node : graph.nodes) {
      look_at(node);
      for (const NamedArgument& argument : node.arguments) {
        const auto* nested = std::get_if<std::shared_ptr<Graph>>(&argument.value.value);
        if (nested != nullptr) look_at(**nested);
      }
    }
  }

  void look_at(const Node& node) {
    const std::string& path =
        model_.tree
            .modules[node.module_stack.empty() ? 0
                                               : static_cast<std::size_t>(node.module_stack.back())]
            .path;
    if (is_one_of(kDraws, node.target)) draws_.add(path);
    if (is_one_of(kDropouts, node.target) && drops_any(node)) dropouts_.add(path);
    if (node.target == kOnlyEvaluation) only_evaluation_.add(path);
    if (is_one_of(kOnlyTraining, node.target)) only_training_.add(path);
    if (node.target == "aten::scaled_dot_product_attention" && !has_dropout(node)) {
      attentions_.add(path);
    }
    for (const NamedArgument& argument : node.arguments) look_at(node, argument);
  }

  void look_at(const Node& node, const NamedArgument& argument) {
    const auto flag = mode_flag(node, argument.name);
    const auto* constant = std::get_if<c10::IValue>(&argument.value.value);
    if (!flag || constant == nullptr || !constant->isBool()) return;
    exported_in_training_ = exported_in_training_.value_or(false) || constant->toBool();
  }

  static bool drops_any(const Node& node) {
    return std::any_of(node.arguments.begin(), node.arguments.end(), [](const NamedArgument& a) {
      const auto* constant = std::get_if<c10::IValue>(&a.value.value);
      return a.name == "p" && constant != nullptr && constant->isDouble() &&
             constant->toDouble() > 0;
    });
  }

  static bool has_dropout(const Node& node) {
    return std::any_of(node.arguments.begin(), node.arguments.end(), [](const NamedArgument& a) {
      const auto* constant = std::get_if<c10::IValue>(&a.value.value);
      return a.name == "dropout_p" && constant != nullptr && constant->isDouble() &&
             constant->toDouble() > 0;
    });
  }

  const ModelData& model_;
  std::optional<bool> exported_in_training_;
  Places draws_;
  Places dropouts_;
  Places attentions_;
  Places branch_drops_;
  Places only_evaluation_;
  Places only_training_;
};

}  // namespace

std::vector<std::string> export_notes(const ModelData& model) { return Survey(model).notes(); }

std::vector<std::string> evaluation_notes(const ModelData& model) {
  return Survey(model).evaluation_notes();
}

}  // namespace tenon
