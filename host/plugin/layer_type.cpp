#include "plugin/layer_type.h"

#include <sstream>

#include "base/error.h"
#include "plugin/host_table.h"
#include "plugin/plugin_registry.h"

namespace tenon {

std::vector<std::string> LayerType::base_types() const {
  std::vector<std::string> types;
  std::istringstream list(table_->base_types);
  for (std::string type; std::getline(list, type, ';');) {
    if (!type.empty()) types.push_back(type);
  }
  return types;
}

void LayerType::fail(Stage stage, const LayerFacts& base, const char* function,
                     const tenon_error& error) const {
  const std::string reason =
      error.text.empty() ? std::string("plugin bug: ") + function + " failed without a message"
                         : error.text;
  throw Error({.stage = stage,
               .message = base.description().type + " at `" + base.description().module_path +
                          "`: " + reason,
               .hint = "the layer comes from plugin " + plugin_->id + " " + plugin_->version +
                       " (" + plugin_->path.string() + ")"});
}

void LayerType::validate(const LayerFacts& base, const tenon_setup& setup) const {
  if (table_->validate == nullptr) return;
  tenon_error error;
  if (table_->validate(&host_table(), &base, &setup, &error) != TENON_OK) {
    fail(Stage::kInjection, base, "validate", error);
  }
}

std::vector<ParameterSpec> LayerType::declare(const LayerFacts& base, OptionTable options) const {
  tenon_setup setup{std::move(options), {}};
  validate(base, setup);
  tenon_error error;
  if (table_->add_adapter(&host_table(), &base, &setup, &error) != TENON_OK) {
    fail(Stage::kInjection, base, "add_adapter", error);
  }
  if (setup.parameters.empty()) {
    error.text = "plugin bug: add_adapter declared no parameter";
    fail(Stage::kInjection, base, "add_adapter", error);
  }
  return std::move(setup.parameters);
}

std::vector<at::Tensor> LayerType::forward(const LayerFacts& base, const tenon_call& call) const {
  constexpr std::size_t kInlineOutputs = 8;
  tenon_tensor few[kInlineOutputs] = {};
  std::vector<tenon_tensor> many;
  tenon_tensor* handles = few;
  if (call.n_outputs > kInlineOutputs) {
    many.resize(call.n_outputs);
    handles = many.data();
  }
  tenon_error error;
  if (table_->forward(&host_table(), &base, &call, handles, &error) != TENON_OK) {
    fail(Stage::kPlugins, base, "forward", error);
  }
  std::vector<at::Tensor> outputs(call.n_outputs);
  bool complete = true;
  for (std::uint32_t i = 0; i < call.n_outputs; ++i) {
    outputs[i] = take_handle(handles[i]);
    complete = complete && outputs[i].defined();
  }
  if (!complete) {
    error.text = "plugin bug: forward left an output empty";
    fail(Stage::kPlugins, base, "forward", error);
  }
  return outputs;
}

at::Tensor LayerType::merged_weight(const LayerFacts& base, const tenon_call& call,
                                    std::uint32_t weight) const {
  tenon_error error;
  tenon_tensor handle = nullptr;
  if (table_->merged_weight(&host_table(), &base, &call, weight, &handle, &error) != TENON_OK) {
    fail(Stage::kPlugins, base, "merged_weight", error);
  }
  return take_handle(handle);
}

}  // namespace tenon
