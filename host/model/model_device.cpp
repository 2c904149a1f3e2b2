#include "model/model_device.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>

#include "graph/upload.h"

namespace tenon {
namespace {

void follow_device(Graph& graph, c10::Device device);

void follow(Argument& argument, c10::Device device) {
  if (auto* constant = std::get_if<c10::IValue>(&argument.value)) {
    if (constant->isDevice()) *constant = device;
  } else if (auto* list = std::get_if<Argument::List>(&argument.value)) {
    for (Argument& item : list->items) follow(item, device);
  } else if (auto* nested = std::get_if<std::shared_ptr<Graph>>(&argument.value)) {
    follow_device(**nested, device);
  }
}

// Whether the operator makes a tensor of no other, on a device that is an argument of its own.
bool is_factory(const Node& node) {
  const auto op = c10::Dispatcher::singleton().findSchema({node.target, node.overload});
  if (!op) return false;
  const std::vector<c10::Argument>& arguments = op->schema().arguments();
  const auto has_tensors = [](const c10::Argument& argument) {
    return argument.type()->str().starts_with("Tensor");
  };
  return std::ranges::count(arguments, "device", &c10::Argument::name) > 0 &&
         std::ranges::none_of(arguments, has_tensors);
}

// One that names none makes its tensor on the CPU.
void name_device(Node& node, c10::Device device) {
  if (!is_factory(node)) return;
  const auto named = std::ranges::find(node.arguments, "device", &NamedArgument::name);
  if (named == node.arguments.end()) {
    node.arguments.push_back({"device", {c10::IValue(device)}});
  } else if (std::holds_alternative<Argument::None>(named->value.value)) {
    named->value.value = c10::IValue(device);
  }
}

void follow_device(Graph& graph, c10::Device device) {
  for (Node& node : graph.nodes) {
    for (NamedArgument& argument : node.arguments) follow(argument.value, device);
    if (!device.is_cpu()) name_device(node, device);
  }
  for (Context& context : graph.contexts) {
    if (auto* autocast = std::get_if<AutocastSetting>(&context.setting)) {
      autocast->device = device.type();
    }
  }
}

}  // namespace

void move_to_device(ModelData& model, c10::Device device) {
  follow_device(model.graph, device);
  for (ModelTensor& tensor : model.tensors) tensor.tensor = upload(tensor.tensor, device);
  model.device = device;
}

}  // namespace tenon
