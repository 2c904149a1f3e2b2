#include "model/own_operator.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "graph/graph_walk.h"

namespace tenon {
namespace {

using LayerOfOperator = std::pair<std::string_view, const char*>;
constexpr std::array<LayerOfOperator, 13> kLayersOfOperators = {
    {{"aten::bilinear", "torch.nn.Bilinear"},
     {"aten::conv1d", "torch.nn.Conv1d"},
     {"aten::conv2d", "torch.nn.Conv2d"},
     {"aten::conv3d", "torch.nn.Conv3d"},
     {"aten::conv_transpose1d", "torch.nn.ConvTranspose1d"},
     {"aten::conv_transpose2d", "torch.nn.ConvTranspose2d"},
     {"aten::conv_transpose3d", "torch.nn.ConvTranspose3d"},
     {"aten::embedding", "torch.nn.Embedding"},
     {"aten::embedding_bag", "torch.nn.EmbeddingBag"},
     {"aten::group_norm", "torch.nn.GroupNorm"},
     {"aten::layer_norm", "torch.nn.LayerNorm"},
     {"aten::linear", "torch.nn.Linear"},
     {"aten::rms_norm", "torch.nn.RMSNorm"}}};

// Those to whose output the operator's own is added, whatever else the module does. (Of a
// convolution PEFT makes factors of the module's class, which a graph does not show.)
constexpr std::array<std::string_view, 2> kAddable = {"aten::embedding", "aten::linear"};
// And what leaves every number as it is.
constexpr std::array<std::string_view, 7> kCasts = {
    "aten::to",     "aten::_to_copy", "aten::type_as", "aten::contiguous",
    "aten::detach", "aten::alias",    "aten::clone"};
constexpr std::array<std::string_view, 9> kPads = {"aten::pad",
                                                   "aten::constant_pad_nd",
                                                   "aten::reflection_pad1d",
                                                   "aten::reflection_pad2d",
                                                   "aten::reflection_pad3d",
                                                   "aten::replication_pad1d",
                                                   "aten::replication_pad2d",
                                                   "aten::replication_pad3d",
                                                   "aten::_pad_circular"};
constexpr std::array<std::string_view, 3> kViews = {"aten::view", "aten::reshape",
                                                    "aten::unsqueeze"};
constexpr std::array<std::string_view, 24> kElementwise = {
    "aten::add",        "aten::add_",  "aten::sub",     "aten::sub_",
    "aten::rsub",       "aten::mul",   "aten::mul_",    "aten::div",
    "aten::div_",       "aten::neg",   "aten::relu",    "aten::relu_",
    "aten::leaky_relu", "aten::gelu",  "aten::silu",    "aten::sigmoid",
    "aten::tanh",       "aten::exp",   "aten::sin",     "aten::cos",
    "aten::pow",        "aten::clamp", "aten::dropout", "aten::feature_dropout"};

// One call, operator by operator: what each value has been made of.
class OneCall {
 public:
  OneCall(const ModelData& model, const Subgraph& call) : model_(model), call_(call) {}

  std::optional<OwnOperator> find() {
    if (call_.inputs.size() != 1 || call_.outputs.size() != 1) return std::nullopt;
    kinds_[call_.inputs[0]] = Kind::kInput;
    for (const std::int32_t index : call_.nodes) {
      if (!take(model_.graph.nodes[static_cast<std::size_t>(index)])) return std::nullopt;
    }
    if (operator_.empty()) return std::nullopt;
    const Kind output = kind_of(call_.outputs[0]);
    if (output != Kind::kOutput && output != Kind::kChangedOutput) return std::nullopt;
    const bool is_exact = is_exact_ && output == Kind::kOutput;
    if (!is_exact && (!is_one_of(kAddable, operator_) || is_scaled_embedding_)) return std::nullopt;
    return OwnOperator{layer_of_operator(operator_), is_exact};
  }

 private:
  // As it was but for its dtype, or changed; a changed weight has its shape, one made of it may
  // not.
  enum class Kind {
    kOther,
    kInput,
    kChangedInput,
    kWeight,
    kChangedWeight,
    kMadeOfWeight,
    kBias,
    kOwn,  // made of other parameters
    kOutput,
    kChangedOutput
  };

  Kind kind_of(ValueId id) const {
    const auto known = kinds_.find(id);
    if (known != kinds_.end()) return known->second;
    const std::int32_t tensor = model_.graph.values[static_cast<std::size_t>(id)].tensor;
    if (tensor < 0) return Kind::kOther;
    const std::string& path = model_.tree.at(call_.module).path;
    const auto name = model_.tensors[static_cast<std::size_t>(tensor)].name_in(path);
    return name == "weight" ? Kind::kWeight : name == "bias" ? Kind::kBias : Kind::kOwn;
  }

  const ValueId* value_of(const Node& node, std::string_view name) const {
    const auto argument = std::ranges::find(node.arguments, name, &NamedArgument::name);
    return argument == node.arguments.end() ? nullptr
                                            : std::get_if<ValueId>(&argument->value.value);
  }

  bool is_number(ValueId id) const {
    return model_.graph.values[static_cast<std::size_t>(id)].is_number;
  }

  bool take(const Node& node) {
    if (node.results.empty()) return true;  // an assertion
    bool only_numbers = true;
    for_each_write(node, [&](ValueId id) { only_numbers = only_numbers && is_number(id); });
    if (only_numbers) return true;
    if (!layer_of_operator(node.target).empty() && is_of_weight(node)) return take_operator(node);
    if (is_one_of(kCasts, node.target)) return give(node, kind_of_first(node));
    if (is_one_of(kPads, node.target) && kind_of_first(node) == Kind::kInput) {
      pads_ = true;
      return give(node, Kind::kInput);
    }
    return take_arithmetic(node);
  }

  bool is_of_weight(const Node& node) const {
    const ValueId* weight = value_of(node, "weight");
    return weight != nullptr && made_of_weight(kind_of(*weight));
  }

  bool take_operator(const Node& node) {
    const char* name = node.target == "aten::embedding" ? "indices" : "input";
    const ValueId* input = value_of(node, name);
    const ValueId* weight = value_of(node, "weight");
    const ValueId* bias = value_of(node, "bias");
    if (!operator_.empty() || input == nullptr) return false;
    const Kind from = kind_of(*input);
    if (from != Kind::kInput && from != Kind::kChangedInput) return false;
    if (bias != nullptr && !made_of_own(kind_of(*bias))) return false;
    if (kind_of(*weight) == Kind::kMadeOfWeight) return false;
    operator_ = node.target;
    has_bias_ = bias != nullptr;
    is_exact_ = from == Kind::kInput && kind_of(*weight) == Kind::kWeight &&
                (bias == nullptr || kind_of(*bias) == Kind::kBias) &&
                (!pads_ || node.target.starts_with("aten::conv"));
    return give(node, Kind::kOutput);
  }

  static bool made_of_weight(Kind kind) {
    return kind == Kind::kWeight || kind == Kind::kChangedWeight || kind == Kind::kMadeOfWeight;
  }
  static bool made_of_own(Kind kind) {
    return made_of_weight(kind) || kind == Kind::kBias || kind == Kind::kOwn;
  }

  // Of what the module owns, any; of the input and the output, element by element.
  bool take_arithmetic(const Node& node) {
    std::set<Kind> read;
    for_each_read(node, [&](ValueId id) {
      if (!is_number(id)) read.insert(kind_of(id));
    });
    const auto any = [&](std::initializer_list<Kind> kinds) {
      return std::ranges::any_of(kinds, [&](Kind kind) { return read.contains(kind); });
    };
    if (any({Kind::kOther})) return false;
    if (adds_bias(node)) return give(node, Kind::kOutput);
    if (is_one_of(kViews, node.target) && read == std::set<Kind>{Kind::kBias}) {
      return give(node, Kind::kBias);
    }
    const bool elementwise = is_one_of(kElementwise, node.target);
    if (any({Kind::kInput, Kind::kChangedInput, Kind::kOutput, Kind::kChangedOutput})) {
      const bool is_output = any({Kind::kOutput, Kind::kChangedOutput});
      // PEFT multiplies the update too where it knows the factor, by a name that is not here.
      const bool is_factor =
          node.target.starts_with("aten::mul") || node.target.starts_with("aten::div");
      is_scaled_embedding_ =
          is_scaled_embedding_ || (is_output && is_factor && operator_ == "aten::embedding");
      return elementwise && give(node, is_output ? Kind::kChangedOutput : Kind::kChangedInput);
    }
    if (!std::ranges::any_of(read, made_of_weight)) return give(node, Kind::kOwn);
    const bool has_shape = elementwise && !any({Kind::kMadeOfWeight});
    return give(node, has_shape ? Kind::kChangedWeight : Kind::kMadeOfWeight);
  }

  // What the operator was not given, added behind it as it is.
  bool adds_bias(const Node& node) {
    if ((node.target != "aten::add" && node.target != "aten::add_") || has_bias_) return false;
    if (node.arguments.size() != 2) return false;  // alpha
    std::vector<Kind> read;
    for_each_read(node, [&](ValueId id) { read.push_back(kind_of(id)); });
    std::ranges::sort(read);
    has_bias_ = read == std::vector<Kind>{Kind::kBias, Kind::kOutput};
    return has_bias_;
  }

  Kind kind_of_first(const Node& node) const {
    const auto* value =
        node.arguments.empty() ? nullptr : std::get_if<ValueId>(&node.arguments[0].value.value);
    return value == nullptr ? Kind::kOther : kind_of(*value);
  }

  // An operator that writes in place gives its first argument anew.
  bool give(const Node& node, Kind kind) {
    if (kind == Kind::kOther || node.results.empty()) return false;
    for_each_write(node, [&](ValueId id) { kinds_[id] = kind; });
    if (writes_in_place(node)) {
      const auto* first = std::get_if<ValueId>(&node.arguments[0].value.value);
      if (first != nullptr) kinds_[*first] = kind;
    }
    return true;
  }

  const ModelData& model_;
  const Subgraph& call_;
  std::map<ValueId, Kind> kinds_;
  std::string operator_;
  bool is_exact_ = false;
  bool pads_ = false;
  bool has_bias_ = false;
  bool is_scaled_embedding_ = false;
};

}  // namespace

std::optional<OwnOperator> own_operator(const ModelData& model,
                                        const std::vector<Subgraph>& calls) {
  std::optional<OwnOperator> found;
  for (const Subgraph& call : calls) {
    const std::optional<OwnOperator> own = OneCall(model, call).find();
    if (!own || (found && found->type != own->type)) return std::nullopt;
    if (!found) found = own;
    found->is_exact = found->is_exact && own->is_exact;
  }
  return found;
}

std::string layer_of_operator(std::string_view target) {
  const auto* layer = std::ranges::find(kLayersOfOperators, target, &LayerOfOperator::first);
  return layer == kLayersOfOperators.end() ? "" : layer->second;
}

}  // namespace tenon
