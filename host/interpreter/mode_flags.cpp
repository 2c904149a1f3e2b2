#include "interpreter/mode_flags.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "graph/graph_walk.h"

namespace tenon {
namespace {

constexpr std::array<std::string_view, 16> kTrainingOperators{"aten::dropout",
                                                              "aten::dropout_",
                                                              "aten::feature_dropout",
                                                              "aten::feature_dropout_",
                                                              "aten::alpha_dropout",
                                                              "aten::alpha_dropout_",
                                                              "aten::feature_alpha_dropout",
                                                              "aten::feature_alpha_dropout_",
                                                              "aten::native_dropout",
                                                              "aten::lstm",
                                                              "aten::gru",
                                                              "aten::rnn_tanh",
                                                              "aten::rnn_relu",
                                                              "aten::rrelu",
                                                              "aten::rrelu_",
                                                              "aten::rrelu_with_noise"};

constexpr std::array<std::string_view, 5> kBatchNormOperators{
    "aten::batch_norm", "aten::native_batch_norm", "aten::cudnn_batch_norm",
    "aten::_native_batch_norm_legit", "aten::_native_batch_norm_legit_functional"};

// Normalising by the batch alone is no mode: weights that are standardised, BatchNorm without
// statistics.
bool has_statistics(const Node& node) {
  return std::any_of(node.arguments.begin(), node.arguments.end(), [](const NamedArgument& a) {
    return a.name == "running_mean" && !std::holds_alternative<Argument::None>(a.value.value);
  });
}

}  // namespace

std::optional<Operand::Kind> mode_flag(const Node& node, const std::string& argument) {
  if (node.ignores_mode) return std::nullopt;
  if (argument == "train" || argument == "training") {
    if (is_one_of(kTrainingOperators, node.target)) return Operand::Kind::kTraining;
    if (is_one_of(kBatchNormOperators, node.target) && has_statistics(node)) {
      return Operand::Kind::kBatchNormTraining;
    }
  }
  if (argument == "use_input_stats" && node.target == "aten::instance_norm" &&
      has_statistics(node)) {
    return Operand::Kind::kBatchNormTraining;
  }
  if (argument == "dropout_p" && node.target == "aten::scaled_dot_product_attention") {
    return Operand::Kind::kDropoutProbability;
  }
  return std::nullopt;
}

bool counts_batches(const Node& node, const Graph& graph, const std::vector<ModelTensor>& tensors) {
  if (node.target != "aten::add_" || node.arguments.empty()) return false;
  const auto* target = std::get_if<ValueId>(&node.arguments[0].value.value);
  if (target == nullptr) return false;
  const Value& value = graph.values[static_cast<std::size_t>(*target)];
  // In a subgraph's own graph the tensor arrives with the call, under its name.
  const std::string& name =
      value.tensor >= 0 ? tensors[static_cast<std::size_t>(value.tensor)].name : value.name;
  return name.ends_with("num_batches_tracked");
}

bool is_check_only(const Node& node) {
  return node.target == "aten::_assert_tensor_metadata" ||
         node.target == "aten::sym_constrain_range" ||
         node.target == "aten::sym_constrain_range_for_size";
}

}  // namespace tenon
