#include "declared/declared_model.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/suggest.h"
#include "declared/declared_layers.h"
#include "graph/parameter_init.h"

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

// The modules on the way to a layer, the root first; those that are not there yet are added.
std::vector<ModuleId> module_stack(ModuleTree& tree, const DeclaredLayer& layer) {
  std::vector<ModuleId> stack{0};
  for (const std::string& path : ancestry(layer.name)) {
    ModuleId id = tree.find(path);
    if (id == kNoModule) {
      id = static_cast<ModuleId>(tree.modules.size());
      tree.modules.push_back({path, "torch.nn.Sequential", true});
    }
    stack.push_back(id);
  }
  tree.at(stack.back()).type = declared_type(layer);
  return stack;
}

}  // namespace

ModelData build_declared_model(const ModelConfig& config) {
  const at::ScalarType dtype = dtype_of(config.dtype);
  const at::Generator generator = make_generator(config.seed);

  ModelData model;
  model.source = config.location;
  model.tree.modules.push_back({"", config.name, true});
  model.inputs.push_back(
      {"input", "input", takes_ids(config.layers.front()) ? at::kLong : dtype, false, {}});
  model.graph.values.push_back({"input", ValueKind::kInput, -1, false});
  model.graph.inputs.push_back(0);

  ValueId running = 0;
  std::vector<std::string> problems;
  for (const DeclaredLayer& layer : config.layers) {
    LayerBuilder builder(model, layer.name, module_stack(model.tree, layer), dtype, generator,
                         running);
    try {
      build_declared_layer(layer, builder);
    } catch (const Error& error) {
      problems.emplace_back(error.what());
    }
    running = builder.output();
  }
  if (!problems.empty()) throw Error({.stage = Stage::kConfig, .message = join(problems, "\n")});
  model.graph.outputs.push_back({running});
  return model;
}

}  // namespace tenon
