// A layer of an exported program as a model of its own.
#include <ATen/ATen.h>

#include <map>
#include <set>

#include "base/error.h"
#include "base/suggest.h"
#include "check/trial_base.h"
#include "graph/parameter_init.h"
#include "graph/subgraph.h"
#include "interpreter/interpreter.h"
#include "pt2/pt2_program.h"

namespace tenon {
namespace {

constexpr std::int64_t kUsualSize = 3;

Error failure(const std::string& message, const std::string& hint = "") {
  return Error({.stage = Stage::kModel, .message = message, .hint = hint});
}

// Sizes as the export wants them; ids are 0 and 1, which any vocabulary has.
at::Tensor draw_input(const InputSpec& spec, std::map<std::string, std::int64_t>& symbols,
                      const at::Generator& generator) {
  std::vector<std::int64_t> sizes;
  for (const DimensionSpec& dimension : spec.dimensions) {
    std::int64_t size = std::max(kUsualSize, dimension.minimum);
    if (dimension.maximum >= 0) size = std::min(size, dimension.maximum);
    if (dimension.fixed >= 0) size = dimension.fixed;
    if (!dimension.symbol.empty()) size = symbols.emplace(dimension.symbol, size).first->second;
    sizes.push_back(size);
  }
  if (c10::isFloatingType(spec.dtype)) {
    return at::empty(sizes).normal_(0, 1, generator).to(spec.dtype);
  }
  return at::randint(2, sizes, generator, at::TensorOptions().dtype(at::kLong)).to(spec.dtype);
}

// What reaches the subgraph when the program runs: its inputs, then its numbers.
std::vector<c10::IValue> capture(const ModelData& model, const Subgraph& subgraph,
                                 std::vector<c10::IValue> inputs) {
  const Program inner(subgraph_program(model, subgraph), model.tensors);
  std::vector<c10::IValue> captured;
  Replacement replacement;
  replacement.nodes = subgraph.nodes;
  replacement.inputs = subgraph.inputs;
  replacement.inputs.insert(replacement.inputs.end(), subgraph.numbers.begin(),
                            subgraph.numbers.end());
  replacement.outputs = subgraph.outputs;
  replacement.name = "the layer";
  replacement.function = [&](std::vector<c10::IValue> values, const RunMode& mode) {
    captured = values;
    const auto numbers = values.begin() + static_cast<std::ptrdiff_t>(subgraph.inputs.size());
    std::vector<c10::IValue> arguments(values.begin(), numbers);
    for (const std::int32_t tensor : subgraph.tensors) {
      arguments.emplace_back(model.tensors[static_cast<std::size_t>(tensor)].tensor);
    }
    arguments.insert(arguments.end(), numbers, values.end());
    return inner.run(std::move(arguments), mode);
  };
  const at::NoGradGuard no_grad;
  Program(model.graph, model.tensors, {std::move(replacement)}).run(std::move(inputs), {});
  return captured;
}

void bind_numbers(Argument& argument, const std::map<ValueId, c10::IValue>& numbers) {
  if (auto* list = std::get_if<Argument::List>(&argument.value)) {
    for (Argument& item : list->items) bind_numbers(item, numbers);
  }
  const auto* id = std::get_if<ValueId>(&argument.value);
  if (id == nullptr) return;
  if (const auto found = numbers.find(*id); found != numbers.end()) argument.value = found->second;
}

// The subgraph's graph, reading tensors from the new model and numbers from the capture.
void take_subgraph(const ModelData& model, const Subgraph& subgraph,
                   const std::vector<c10::IValue>& captured, ModelData& cut) {
  cut.graph = subgraph_program(model, subgraph);
  const std::vector<ValueId> places = std::move(cut.graph.inputs);
  const std::size_t n_inputs = subgraph.inputs.size();
  const std::size_t n_tensors = subgraph.tensors.size();
  cut.graph.inputs.assign(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(n_inputs));
  for (std::size_t i = 0; i < n_tensors; ++i) {
    const ModelTensor& tensor = model.tensors[static_cast<std::size_t>(subgraph.tensors[i])];
    const auto place = std::find_if(cut.tensors.begin(), cut.tensors.end(),
                                    [&](const ModelTensor& t) { return t.name == tensor.name; });
    Value& value = cut.graph.values[static_cast<std::size_t>(places[n_inputs + i])];
    value.tensor = static_cast<std::int32_t>(place - cut.tensors.begin());
    value.kind = tensor.kind;
  }
  std::map<ValueId, c10::IValue> numbers;
  for (std::size_t i = 0; i < subgraph.numbers.size(); ++i) {
    numbers[places[n_inputs + n_tensors + i]] = captured[n_inputs + i];
  }
  for (Node& node : cut.graph.nodes) {
    for (NamedArgument& argument : node.arguments) bind_numbers(argument.value, numbers);
  }
}

}  // namespace

TrialBase cut_trial(const std::filesystem::path& program, const std::string& layer) {
  const ModelData model = read_pt2_program(program);
  const ModuleId id = model.tree.find(layer);
  if (id == kNoModule) {
    std::vector<std::string> paths;
    for (const Module& module : model.tree.modules) paths.push_back(module.path);
    throw failure("the model has no layer `" + layer + "`", did_you_mean(layer, paths));
  }
  const std::vector<Subgraph> subgraphs = SubgraphFinder(model).find(id);
  if (subgraphs.empty()) throw failure("the model never runs `" + layer + "`");
  const Subgraph& subgraph = subgraphs.front();

  const at::Generator generator = make_generator(1);
  std::map<std::string, std::int64_t> symbols;
  std::vector<c10::IValue> inputs;
  for (const InputSpec& spec : model.inputs) {
    inputs.emplace_back(draw_input(spec, symbols, generator));
  }
  const std::vector<c10::IValue> captured = capture(model, subgraph, std::move(inputs));

  TrialBase trial{{}, layer, {}};
  trial.model.tree = model.tree;
  trial.model.source = model.source;
  const std::set<std::int32_t> read(subgraph.tensors.begin(), subgraph.tensors.end());
  for (std::size_t i = 0; i < model.tensors.size(); ++i) {
    if (!model.tensors[i].name_in(layer) && !read.contains(static_cast<std::int32_t>(i))) continue;
    trial.model.tensors.push_back(model.tensors[i]);
    trial.model.tensors.back().tensor = model.tensors[i].tensor.clone();
    trial.model.tensors.back().crc32 = -1;
  }
  take_subgraph(model, subgraph, captured, trial.model);
  for (std::size_t i = 0; i < subgraph.inputs.size(); ++i) {
    trial.inputs.push_back(captured[i].toTensor().clone());
    const std::string name = "input_" + std::to_string(i);
    trial.model.inputs.push_back({name, name, trial.inputs.back().scalar_type(), false, {}});
  }
  return trial;
}

}  // namespace tenon
