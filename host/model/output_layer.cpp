#include "model/output_layer.h"

#include <set>
#include <string_view>

#include "graph/graph_walk.h"

namespace tenon {
namespace {

// What only rearranges, converts or rescales what a layer gave.
bool passes_through(const Node& node) {
  static const std::set<std::string_view> operators{
      "aten::_to_copy",     "aten::_unsafe_view", "aten::alias",    "aten::clone",
      "aten::contiguous",   "aten::div",          "aten::flatten",  "aten::float",
      "aten::log_softmax",  "aten::mul",          "aten::permute",  "aten::reshape",
      "aten::select",       "aten::sigmoid",      "aten::slice",    "aten::softmax",
      "aten::squeeze",      "aten::tanh",         "aten::to",       "aten::transpose",
      "aten::type_as",      "aten::unsqueeze",    "aten::view",     "aten::_softmax",
      "aten::_log_softmax", "aten::detach",       "aten::unflatten"};
  return operators.contains(node.target);
}

bool multiplies(const Node& node) {
  return node.target == "aten::linear" || node.target == "aten::addmm" ||
         node.target == "aten::mm" || node.target == "aten::matmul";
}

const ValueId* first_value(const std::vector<NamedArgument>& arguments) {
  if (arguments.empty()) return nullptr;
  return std::get_if<ValueId>(&arguments.front().value.value);
}

// Tensors of the model's own, as they are or only rearranged.
std::set<ValueId> own_tensors(const Graph& graph) {
  std::set<ValueId> own;
  for (std::size_t i = 0; i < graph.values.size(); ++i) {
    if (graph.values[i].tensor >= 0) own.insert(static_cast<ValueId>(i));
  }
  for (const Node& node : graph.nodes) {
    const ValueId* source = passes_through(node) ? first_value(node.arguments) : nullptr;
    if (source == nullptr || !own.contains(*source)) continue;
    for_each_write(node, [&](ValueId id) { own.insert(id); });
  }
  return own;
}

// A bias that the model adds itself: BART's final_logits_bias.
bool adds_own_tensor(const Node& node, const std::set<ValueId>& own) {
  if (node.target != "aten::add" || node.arguments.size() < 2) return false;
  const auto* other = std::get_if<ValueId>(&node.arguments[1].value.value);
  return other != nullptr && own.contains(*other);
}

}  // namespace

ModuleId output_layer(const ModelData& model) {
  const Graph& graph = model.graph;
  if (graph.outputs.empty()) return kNoModule;
  const auto* output = std::get_if<ValueId>(&graph.outputs.front().value);
  if (output == nullptr) return kNoModule;
  ValueId value = *output;
  const std::set<ValueId> own = own_tensors(graph);
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    bool writes = false;
    for_each_write(node, [&](ValueId id) { writes = writes || id == value; });
    if (!writes) continue;
    if (multiplies(node)) return node.module_stack.empty() ? kNoModule : node.module_stack.back();
    const bool passes = passes_through(node) || adds_own_tensor(node, own);
    const ValueId* source = passes ? first_value(node.arguments) : nullptr;
    if (source == nullptr) return kNoModule;
    value = *source;
  }
  return kNoModule;
}

}  // namespace tenon
