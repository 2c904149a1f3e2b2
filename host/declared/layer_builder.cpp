#include "declared/layer_builder.h"

#include <ATen/ATen.h>

#include "graph/new_tensor.h"
#include "graph/parameter_init.h"

namespace tenon {

LayerBuilder::LayerBuilder(ModelData& model, std::string path, std::vector<ModuleId> module_stack,
                           at::ScalarType dtype, const at::Generator& generator, ValueId input)
    : model_(model),
      path_(std::move(path)),
      module_stack_(std::move(module_stack)),
      dtype_(dtype),
      generator_(generator),
      running_(input) {}

ValueId LayerBuilder::add_value(std::string name, ValueKind kind, std::int32_t tensor,
                                bool is_number) {
  model_.graph.values.push_back({std::move(name), kind, tensor, is_number});
  return static_cast<ValueId>(model_.graph.values.size() - 1);
}

Argument LayerBuilder::add_tensor(const std::string& name, ValueKind kind, at::Tensor tensor) {
  const std::string full_name = path_ + "." + name;
  model_.tensors.push_back({full_name, {}, kind, true, std::move(tensor), -1});
  return {add_value(full_name, kind, static_cast<std::int32_t>(model_.tensors.size() - 1), false)};
}

Argument LayerBuilder::parameter(const std::string& name, std::vector<std::int64_t> shape,
                                 const std::string& init, double init_a, double init_b) {
  at::Tensor tensor = new_tensor(shape, dtype_,
                                 {.stage = Stage::kModel,
                                  .message = "the parameter `" + path_ + "." + name + "`",
                                  .hint = "make the layer smaller: [[model.layers]]"});
  initialise(tensor, init, init_a, init_b, generator_);
  return add_tensor(name, ValueKind::kParameter, std::move(tensor));
}

Argument LayerBuilder::buffer(const std::string& name, at::Tensor tensor) {
  if (tensor.is_floating_point()) tensor = tensor.to(dtype_);
  return add_tensor(name, ValueKind::kBuffer, std::move(tensor));
}

at::Tensor LayerBuilder::tensor(const Argument& parameter) const {
  const Value& value =
      model_.graph.values[static_cast<std::size_t>(std::get<ValueId>(parameter.value))];
  return model_.tensors[static_cast<std::size_t>(value.tensor)].tensor;
}

void LayerBuilder::add_node(const std::string& op, std::vector<NamedArgument> arguments,
                            std::vector<Result> results) {
  const std::size_t dot = op.find('.');
  const std::string overload = dot == std::string::npos ? "" : op.substr(dot + 1);
  model_.graph.nodes.push_back({op.substr(0, dot), overload, std::move(arguments),
                                std::move(results), module_stack_, 0, false});
}

void LayerBuilder::apply(const std::string& op, std::vector<NamedArgument> arguments) {
  apply_first_of(op, 1, std::move(arguments));
}

void LayerBuilder::apply_first_of(const std::string& op, std::size_t count,
                                  std::vector<NamedArgument> arguments) {
  running_ = add_value(path_, ValueKind::kIntermediate, -1, false);
  std::vector<Result> results{{false, {running_}}};
  while (results.size() < count) results.push_back({false, {kNoValue}});
  add_node(op, std::move(arguments), std::move(results));
}

Argument LayerBuilder::call(const std::string& op, std::vector<NamedArgument> arguments,
                            bool is_number) {
  const ValueId value = add_value(path_, ValueKind::kIntermediate, -1, is_number);
  add_node(op, std::move(arguments), {{false, {value}}});
  return {value};
}

}  // namespace tenon
