#include "pt2/pt2_wrappers.h"

#include <c10/core/Device.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string_view>

namespace tenon::pt2 {
namespace {

constexpr std::string_view kGradMode = "torch.ops.higher_order.wrap_with_set_grad_enabled";
constexpr std::string_view kAutocast = "torch.ops.higher_order.wrap_with_autocast";

// These leave the graph's results as they are: they advise a compiler, share code between calls,
// trade memory for time, or check control flow.
constexpr std::array<std::string_view, 5> kPlainWrappers{
    "torch.ops.higher_order.hints_wrapper", "torch.ops.higher_order.invoke_subgraph",
    "torch.ops.higher_order.strict_mode", "torch.ops.higher_order.tag_activation_checkpoint",
    "torch.ops.higher_order.wrap"};

const c10::IValue& constant(const Node& node, std::size_t index) {
  if (index < node.inputs.size()) {
    if (const auto* value = std::get_if<c10::IValue>(&node.inputs[index].value.value)) {
      return *value;
    }
  }
  throw std::invalid_argument("its argument " + std::to_string(index) + " is not a constant");
}

bool flag(const Node& node, std::size_t index) {
  const c10::IValue& value = constant(node, index);
  if (!value.isBool()) {
    throw std::invalid_argument("its argument " + std::to_string(index) + " is not a bool");
  }
  return value.toBool();
}

AutocastSetting autocast(const Node& node) {
  AutocastSetting result;
  const c10::IValue& device = constant(node, 0);
  if (!device.isString()) throw std::invalid_argument("its device is not a name");
  result.device = c10::Device(device.toStringRef()).type();
  if (!std::holds_alternative<Argument::None>(node.inputs.at(1).value.value)) {
    result.dtype = static_cast<at::ScalarType>(constant(node, 1).toInt());
  }
  result.enabled = flag(node, 2);
  result.cache = flag(node, 3);
  return result;
}

// What stands behind the graph by position: operands, or lists of them.
void add_operands(const Argument& argument, std::vector<Argument>& operands) {
  if (const auto* list = std::get_if<Argument::List>(&argument.value)) {
    operands.insert(operands.end(), list->items.begin(), list->items.end());
  } else if (const auto* named = std::get_if<Argument::Dictionary>(&argument.value)) {
    if (!named->items.empty()) throw std::invalid_argument("it passes arguments by name");
  } else {
    operands.push_back(argument);
  }
}

}  // namespace

std::optional<Wrapper> find_wrapper(const Node& node) {
  Wrapper wrapper;
  std::size_t graph = 0;  // its argument's number
  std::size_t operands = 1;
  if (node.target == kGradMode) {
    wrapper.setting = GradientSetting{flag(node, 0)};
    graph = 1;
    operands = 2;
  } else if (node.target == kAutocast) {
    wrapper.setting = autocast(node);
    graph = 4;
    operands = 5;
  } else if (std::find(kPlainWrappers.begin(), kPlainWrappers.end(), node.target) ==
             kPlainWrappers.end()) {
    return std::nullopt;
  } else if (node.target.ends_with("invoke_subgraph")) {
    const c10::IValue& name = constant(node, 1);
    if (!name.isString()) throw std::invalid_argument("its graph has no name");
    wrapper.name = name.toStringRef();
    operands = 2;
  }
  const auto* nested = graph < node.inputs.size()
                           ? std::get_if<std::shared_ptr<Graph>>(&node.inputs[graph].value.value)
                           : nullptr;
  if (nested == nullptr) throw std::invalid_argument("it has no graph");
  wrapper.graph = *nested;
  for (std::size_t i = operands; i < node.inputs.size(); ++i) {
    if (node.inputs[i].name.empty()) add_operands(node.inputs[i].value, wrapper.operands);
  }
  if (wrapper.graph->inputs.size() != wrapper.operands.size() ||
      wrapper.graph->outputs.size() != node.outputs.size()) {
    throw std::invalid_argument("its graph does not fit its call");
  }
  return wrapper;
}

}  // namespace tenon::pt2
