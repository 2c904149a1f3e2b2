#include "model/device_constants.h"

namespace tenon {
namespace {

void follow(Argument& argument, c10::Device device) {
  if (auto* constant = std::get_if<c10::IValue>(&argument.value)) {
    if (constant->isDevice()) *constant = device;
  } else if (auto* list = std::get_if<Argument::List>(&argument.value)) {
    for (Argument& item : list->items) follow(item, device);
  } else if (auto* nested = std::get_if<std::shared_ptr<Graph>>(&argument.value)) {
    follow_device(**nested, device);
  }
}

}  // namespace

void follow_device(Graph& graph, c10::Device device) {
  for (Node& node : graph.nodes) {
    for (NamedArgument& argument : node.arguments) follow(argument.value, device);
  }
  for (Context& context : graph.contexts) {
    if (auto* autocast = std::get_if<AutocastSetting>(&context.setting)) {
      autocast->device = device.type();
    }
  }
}

}  // namespace tenon
