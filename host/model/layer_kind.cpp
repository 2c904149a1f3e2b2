#include "model/layer_kind.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "graph/tensor_names.h"
#include "model/own_operator.h"

namespace tenon {
namespace {

// The name inside the module of the tensor that a node of its call takes as this argument.
std::optional<std::string> tensor_name(const ModelData& model, const Subgraph& call,
                                       std::int32_t node_index, std::string_view wanted) {
  const Node& node = model.graph.nodes[static_cast<std::size_t>(node_index)];
  const auto argument = std::ranges::find(node.arguments, wanted, &NamedArgument::name);
  if (argument == node.arguments.end()) return std::nullopt;
  const auto* value = std::get_if<ValueId>(&argument->value.value);
  if (value == nullptr) return std::nullopt;
  const std::int32_t tensor = model.graph.values[static_cast<std::size_t>(*value)].tensor;
  if (tensor < 0) return std::nullopt;
  const std::string& path = model.tree.at(call.module).path;
  return model.tensors[static_cast<std::size_t>(tensor)].name_in(path);
}

// That of the operator's weight; a linear layer in several operators transposes it first.
std::optional<std::string> weight_name(const ModelData& model, const Subgraph& call) {
  return tensor_name(model, call, call.nodes.front(), call.nodes.size() == 1 ? "weight" : "self");
}

// Whether the tensor that the call reads at this place is called so in the module.
bool owns_as(const ModelData& model, const Subgraph& call, std::size_t place, const char* name) {
  const std::string& path = model.tree.at(call.module).path;
  const auto tensor = static_cast<std::size_t>(call.tensors[place]);
  return model.tensors[tensor].name_in(path) == name;
}

// Whether what a plain operator adds is the module's own `bias`, if it adds anything.
bool has_bias_or_none(const ModelData& model, const Subgraph& call) {
  if (call.nodes.size() > 1) return call.tensors.size() == 1 || owns_as(model, call, 1, "bias");
  const Node& node = model.graph.nodes[static_cast<std::size_t>(call.nodes.front())];
  const auto argument = std::ranges::find(node.arguments, "bias", &NamedArgument::name);
  return argument == node.arguments.end() ||
         !std::holds_alternative<ValueId>(argument->value.value) ||
         tensor_name(model, call, call.nodes.front(), "bias") == "bias";
}

// One call of an embedding that scales what it looks up, operator by operator.
class ScaledLookUp {
 public:
  ScaledLookUp(const ModelData& model, const Subgraph& call) : model_(model), call_(call) {}

  bool is_one() {
    return std::ranges::all_of(call_.nodes, [&](std::int32_t node) { return takes(node); }) &&
           is_scaled_ && call_.outputs.size() == 1 && rows_.contains(call_.outputs[0]);
  }

 private:
  const Node& at(std::int32_t node) const {
    return model_.graph.nodes[static_cast<std::size_t>(node)];
  }

  bool takes(std::int32_t index) {
    const Node& node = at(index);
    if (node.target == "aten::embedding") {
      if (!rows_.empty() || tensor_name(model_, call_, index, "weight") != "weight") return false;
      rows_ = {node.results[0].values[0]};
      return true;
    }
    if (node.target == "aten::_assert_tensor_metadata") return true;
    if (node.target == "aten::to" || node.target == "aten::_to_copy") return takes_cast(node);
    if (node.target != "aten::mul" || is_scaled_ || node.arguments.size() != 2) return false;
    const Argument& left = node.arguments[0].value;
    const Argument& right = node.arguments[1].value;
    if (!(is_rows(left) && is_factor(right)) && !(is_factor(left) && is_rows(right))) return false;
    rows_ = {node.results[0].values[0]};
    is_scaled_ = true;
    return true;
  }

  bool takes_cast(const Node& node) {
    const Argument& source = node.arguments[0].value;
    if (!is_rows(source) && !is_factor(source)) return false;
    (is_rows(source) ? rows_ : factors_).insert(node.results[0].values[0]);
    return true;
  }

  bool is_rows(const Argument& argument) const {
    const auto* value = std::get_if<ValueId>(&argument.value);
    return value != nullptr && rows_.contains(*value);
  }

  bool is_factor(const Argument& argument) const {
    const Module& module = model_.tree.at(call_.module);
    if (const auto* constant = std::get_if<c10::IValue>(&argument.value)) {
      return constant->isScalar() && module.type.ends_with("ScaledWordEmbedding");
    }
    const auto* value = std::get_if<ValueId>(&argument.value);
    if (value == nullptr) return false;
    const std::int32_t number = model_.graph.values[static_cast<std::size_t>(*value)].tensor;
    if (number < 0) return factors_.contains(*value);
    const ModelTensor& tensor = model_.tensors[static_cast<std::size_t>(number)];
    return tensor.kind == ValueKind::kBuffer && tensor.tensor.numel() == 1 &&
           tensor.name_in(module.path) == "embed_scale";
  }

  const ModelData& model_;
  const Subgraph& call_;
  std::set<ValueId> rows_;     // what was looked up, as it is now
  std::set<ValueId> factors_;  // the factor in another dtype
  bool is_scaled_ = false;
};

// "weight_hh_l0" of "weight_hh_l0_orig".
bool is_made_from(const std::string& name, std::string_view end, std::string& stem) {
  if (!name.ends_with(end) || name.find("weight") == std::string::npos) return false;
  stem = name.substr(0, name.size() - end.size());
  return true;
}

std::string computed_weight(const std::vector<std::string>& parameters) {
  const auto is_there = [&](const std::string& name) {
    return std::find(parameters.begin(), parameters.end(), name) != parameters.end();
  };
  constexpr std::string_view kParametrizations = "parametrizations.";
  for (const std::string& name : parameters) {
    std::string stem;
    if (is_made_from(name, "_orig", stem) && !is_there(stem)) return stem;
    if (is_made_from(name, "_g", stem) && is_there(stem + "_v") && !is_there(stem)) return stem;
    const std::size_t place = name.find(kParametrizations);
    const std::size_t end = name.rfind(".original");
    if (place == std::string::npos || end == std::string::npos) continue;
    return name.substr(0, place) +
           name.substr(place + kParametrizations.size(), end - place - kParametrizations.size());
  }
  return "";
}

}  // namespace

std::string layer_kind(const ModelData& model, const std::vector<Subgraph>& calls) {
  if (calls.empty()) return "";
  const std::string name = single_operator(model, calls.front());
  const bool is_plain = std::all_of(calls.begin(), calls.end(), [&](const Subgraph& call) {
    return !name.empty() && single_operator(model, call) == name &&
           weight_name(model, call) == "weight" && has_bias_or_none(model, call);
  });
  return is_plain ? layer_of_operator(name) : "";
}

bool is_scaled_embedding(const ModelData& model, const std::vector<Subgraph>& calls) {
  return !calls.empty() && std::ranges::all_of(calls, [&](const Subgraph& call) {
    return ScaledLookUp(model, call).is_one();
  });
}

bool multiplies_by_its_weight(const ModelData& model, const std::vector<Subgraph>& calls) {
  return std::ranges::any_of(calls, [&](const Subgraph& call) {
    return std::ranges::any_of(call.nodes, [&](std::int32_t node) {
      return model.graph.nodes[static_cast<std::size_t>(node)].target == "aten::linear" &&
             tensor_name(model, call, node, "weight") == "weight";
    });
  });
}

void refuse_computed_weight(const std::string& layer, const std::vector<std::string>& parameters) {
  const std::string computed = computed_weight(parameters);
  if (computed.empty()) return;
  throw Error({.stage = Stage::kInjection,
               .message = layer + " computes its `" + computed +
                          "` in forward from other parameters (weight_norm, spectral_norm, "
                          "pruning or a parametrization), so there is no weight to adapt",
               .hint = "make it a plain parameter before the export, with "
                       "torch.nn.utils.parametrize.remove_parametrizations(module, \"" +
                       computed + "\") or torch.nn.utils.remove_weight_norm(module)"});
}

bool is_run_by_attention(const ModelData& model, ModuleId id) {
  const std::string& path = model.tree.at(id).path;
  if (path != "out_proj" && !path.ends_with(".out_proj")) return false;
  const ModuleId around = model.tree.find(parent_path(path));
  return around != kNoModule && model.tree.at(around).type == "torch.nn.MultiheadAttention";
}

}  // namespace tenon
