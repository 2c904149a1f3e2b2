#include "graph/linear_subgraph.h"

#include <algorithm>

namespace tenon {
namespace {

const Argument* find_argument(const Node& node, std::string_view name) {
  const auto found = std::find_if(node.arguments.begin(), node.arguments.end(),
                                  [&](const NamedArgument& each) { return each.name == name; });
  return found == node.arguments.end() ? nullptr : &found->value;
}

// What stands between the operators of one subgraph: input -> (transposed weight) -> product ->
// sum.
class LinearPattern {
 public:
  LinearPattern(const ModelData& model, const Subgraph& subgraph)
      : model_(model), subgraph_(subgraph) {}

  bool matches() {
    if (subgraph_.nodes.size() < 2 || subgraph_.nodes.size() > 3) return false;
    if (subgraph_.inputs.size() != 1 || subgraph_.outputs.size() != 1 ||
        !subgraph_.numbers.empty()) {
      return false;
    }
    const Node& first = node(0);
    return std::all_of(subgraph_.nodes.begin(), subgraph_.nodes.end(),
                       [&](std::int32_t index) {
                         const Node& each = model_.graph.nodes[static_cast<std::size_t>(index)];
                         return each.context == first.context && take(each);
                       }) &&
           output_ == subgraph_.outputs[0] && subgraph_.tensors.size() == (has_bias_ ? 2U : 1U);
  }

 private:
  // The next operator of the pattern.
  bool take(const Node& node) {
    bool fits = false;
    if (transposed_ == kNoValue) {
      fits = transposes_weight(node);
    } else if (output_ == kNoValue) {
      fits = multiplies(node);
    } else if (!has_bias_) {
      fits = adds_bias(node);
    }
    if (!fits || node.results.size() != 1 || node.results[0].is_list) return false;
    (transposed_ == kNoValue ? transposed_ : output_) = node.results[0].values[0];
    return true;
  }

  bool transposes_weight(const Node& node) const {
    if (!is_tensor(node, "self", 2)) return false;
    if (node.target == "aten::t" || node.target == "aten::numpy_T") return true;
    if (node.target == "aten::permute") return is_list(node, "dims", {1, 0});
    return node.target == "aten::transpose" && node.overload == "int" &&
           is_number(node, "dim0", 0) && is_number(node, "dim1", 1);
  }

  bool multiplies(const Node& node) {
    if (node.target == "aten::addmm") {
      has_bias_ = true;
      return is_tensor(node, "self", 1) && is_value(node, "mat1", subgraph_.inputs[0]) &&
             is_value(node, "mat2", transposed_) && is_one(node, "beta") && is_one(node, "alpha");
    }
    if (node.target != "aten::mm" && node.target != "aten::matmul") return false;
    return is_value(node, "self", subgraph_.inputs[0]) &&
           is_value(node, node.target == "aten::mm" ? "mat2" : "other", transposed_);
  }

  bool adds_bias(const Node& node) {
    has_bias_ = true;
    return (node.target == "aten::add_" || node.target == "aten::add") &&
           node.overload == "Tensor" && is_value(node, "self", output_) &&
           is_tensor(node, "other", 1) && is_one(node, "alpha");
  }

  const Node& node(std::size_t place) const {
    return model_.graph.nodes[static_cast<std::size_t>(subgraph_.nodes[place])];
  }

  static bool is_value(const Node& node, std::string_view name, ValueId value) {
    const Argument* argument = find_argument(node, name);
    const auto* id = argument == nullptr ? nullptr : std::get_if<ValueId>(&argument->value);
    return id != nullptr && *id == value;
  }

  // A parameter or buffer of the model with so many dimensions.
  bool is_tensor(const Node& node, std::string_view name, std::int64_t dimensions) const {
    const Argument* argument = find_argument(node, name);
    const auto* id = argument == nullptr ? nullptr : std::get_if<ValueId>(&argument->value);
    if (id == nullptr || *id == subgraph_.inputs[0]) return false;
    const std::int32_t tensor = model_.graph.values[static_cast<std::size_t>(*id)].tensor;
    return tensor >= 0 &&
           model_.tensors[static_cast<std::size_t>(tensor)].tensor.dim() == dimensions;
  }

  static const c10::IValue* constant(const Node& node, std::string_view name) {
    const Argument* argument = find_argument(node, name);
    return argument == nullptr ? nullptr : std::get_if<c10::IValue>(&argument->value);
  }
  static bool is_number(const Node& node, std::string_view name, std::int64_t number) {
    const c10::IValue* value = constant(node, name);
    return value != nullptr && value->isInt() && value->toInt() == number;
  }
  static bool is_list(const Node& node, std::string_view name,
                      const std::vector<std::int64_t>& list) {
    const c10::IValue* value = constant(node, name);
    return value != nullptr && value->isIntList() && value->toIntVector() == list;
  }
  // The schemas' default is one.
  static bool is_one(const Node& node, std::string_view name) {
    if (find_argument(node, name) == nullptr) return true;
    const c10::IValue* value = constant(node, name);
    if (value == nullptr) return false;
    return value->isInt() ? value->toInt() == 1 : value->isDouble() && value->toDouble() == 1;
  }

  const ModelData& model_;
  const Subgraph& subgraph_;
  ValueId transposed_ = kNoValue;
  ValueId output_ = kNoValue;
  bool has_bias_ = false;
};

}  // namespace

bool is_linear(const ModelData& model, const Subgraph& subgraph) {
  return LinearPattern(model, subgraph).matches();
}

}  // namespace tenon
