#include "model/declared_model.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "model/declared_layers.h"
#include "model/parameter_init.h"

namespace tenon {
namespace {

at::ScalarType dtype_of(const std::string& name) {
  if (name == "float64") return at::kDouble;
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float16") return at::kHalf;
  return at::kFloat;
}

// The path's parents and itself, outermost first: "a.b.c" -> a, a.b, a.b.c.
std::vector<std::string> ancestry(const std::string& path) {
  std::vector<std::string> paths;
  for (std::size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', dot + 1)) {
    paths.push_back(path.substr(0, dot));
  }
  paths.push_back(path);
  return paths;
}

std::vector<DeclaredOperator> declare_all(const std::vector<DeclaredLayer>& layers) {
  std::vector<DeclaredOperator> operators;
  std::string problems;
  for (const DeclaredLayer& layer : layers) {
    try {
      operators.push_back(declare_operator(layer));
    } catch (const Error& error) {
      problems += (problems.empty() ? "" : "\n") + std::string(error.what());
    }
  }
  if (!problems.empty()) throw Error({.stage = Stage::kConfig, .message = problems});
  return operators;
}

ValueId add_value(Graph& graph, std::string name, ValueKind kind, std::int32_t tensor = -1) {
  graph.values.push_back({std::move(name), kind, tensor, false});
  return static_cast<ValueId>(graph.values.size() - 1);
}

}  // namespace

ModelData build_declared_model(const ModelConfig& config) {
  const std::vector<DeclaredOperator> operators = declare_all(config.layers);
  const at::ScalarType dtype = dtype_of(config.dtype);
  const at::Generator generator = make_generator(config.seed);

  ModelData model;
  model.source = config.location;
  model.tree.modules.push_back({"", config.name, true});
  const bool takes_ids = operators.front().takes_ids;
  model.inputs.push_back({"input", "input", takes_ids ? at::kLong : dtype, false, {}});
  ValueId running = add_value(model.graph, "input", ValueKind::kInput);
  model.graph.inputs.push_back(running);

  for (std::size_t i = 0; i < operators.size(); ++i) {
    const DeclaredOperator& op = operators[i];
    const std::string& path = config.layers[i].name;
    Node node{op.target, op.overload, {}, {}, {0}, 0, false};
    for (const std::string& module : ancestry(path)) {
      ModuleId id = model.tree.find(module);
      if (id == kNoModule) {
        id = static_cast<ModuleId>(model.tree.modules.size());
        model.tree.modules.push_back({module, "torch.nn.Sequential", true});
      }
      node.module_stack.push_back(id);
    }
    model.tree.modules[static_cast<std::size_t>(node.module_stack.back())].type = op.type;

    node.arguments.push_back({op.input_argument, {running}});
    for (std::size_t p = 0; p < op.parameters.size(); ++p) {
      const DeclaredParameter& parameter = op.parameters[p];
      at::Tensor tensor = at::empty(parameter.shape, dtype);
      initialise(tensor, parameter.init, parameter.init_a, parameter.init_b, generator);
      const std::string name = path + "." + parameter.name;
      model.tensors.push_back({name, {}, ValueKind::kParameter, true, tensor, -1});
      const ValueId value = add_value(model.graph, name, ValueKind::kParameter,
                                      static_cast<std::int32_t>(model.tensors.size() - 1));
      node.arguments.push_back({op.parameter_arguments[p], {value}});
    }
    node.arguments.insert(node.arguments.end(), op.constants.begin(), op.constants.end());
    running = add_value(model.graph, path, ValueKind::kIntermediate);
    node.results.push_back({false, {running}});
    model.graph.nodes.push_back(std::move(node));
  }
  model.graph.outputs.push_back({running});
  return model;
}

}  // namespace tenon
