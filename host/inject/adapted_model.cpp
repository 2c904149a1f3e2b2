#include "inject/adapted_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

#include "base/error.h"
#include "model/graph_walk.h"
#include "model/input_check.h"
#include "model/parameter_init.h"

namespace tenon {
namespace {

std::string with_commas(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (auto i = static_cast<std::ptrdiff_t>(digits.size()) - 3; i > 0; i -= 3) {
    digits.insert(static_cast<std::size_t>(i), ",");
  }
  return digits;
}

}  // namespace

AdaptedModel::AdaptedModel(ModelData model)
    : model_(std::move(model)),
      base_tensor_count_(model_.tensors.size()),
      program_(std::make_unique<Program>(model_.graph, model_.tensors)) {}

AdaptedModel::AdaptedModel(ModelData model, const InjectionPlan& plan, std::uint64_t seed)
    : model_(std::move(model)), base_tensor_count_(model_.tensors.size()) {
  const at::Generator generator = make_generator(seed);
  std::vector<Replacement> replacements;
  SharedTensors shared;
  std::set<std::string> named;
  for (const PlannedLayer& planned : plan.layers) {
    const std::string& path = planned.facts->description().module_path;
    std::vector<at::Tensor> weights;
    for (const std::int32_t tensor : planned.tensors) {
      weights.push_back(model_.tensors[static_cast<std::size_t>(tensor)].tensor);
    }
    AdapterStart start = start_adapter(planned, weights, generator, shared);
    for (std::size_t i = 0; i < planned.parameters.size(); ++i) {
      const ParameterSpec& spec = planned.parameters[i];
      // A shared one lies outside all modules and is added once.
      if (spec.is_shared() && !named.insert(spec.shared_key).second) continue;
      added_.push_back({spec.is_shared() ? "" : path,
                        spec.is_shared() ? spec.shared_key : spec.name, start.parameters[i],
                        spec.trainable()});
    }
    const auto layer = std::make_shared<const AdaptedLayer>(
        *planned.layer_type, planned.facts, std::move(weights), std::move(start), plan.config.name,
        planned.scaling, plan.config.lora_dropout);
    for (const Region& region : planned.regions) {
      replacements.push_back(make_replacement(planned, region, layer));
    }
  }
  for (const ModuleId module : plan.saved) save_module(module);
  program_ = std::make_unique<Program>(model_.graph, model_.tensors, std::move(replacements));
}

Replacement AdaptedModel::make_replacement(const PlannedLayer& planned, const Region& region,
                                           std::shared_ptr<const AdaptedLayer> layer) const {
  auto program = std::make_shared<RegionProgram>(RegionProgram{
      Program(region_graph(model_, region), model_.tensors), region.inputs.size(), {}, {}});
  for (const std::int32_t tensor : region.tensors) {
    const auto own = std::find(planned.tensors.begin(), planned.tensors.end(), tensor);
    program->weight_numbers.push_back(
        own == planned.tensors.end() ? -1
                                     : static_cast<std::int32_t>(own - planned.tensors.begin()));
    program->fixed.push_back(model_.tensors[static_cast<std::size_t>(tensor)].tensor);
  }
  Replacement replacement;
  replacement.nodes = region.nodes;
  replacement.inputs = region.inputs;
  replacement.inputs.insert(replacement.inputs.end(), region.numbers.begin(), region.numbers.end());
  replacement.outputs = region.outputs;
  replacement.name = planned.facts->description().module_path;
  replacement.function = [layer = std::move(layer), program = std::move(program)](
                             std::vector<c10::IValue> values, const RunMode& mode) {
    return layer->run(*program, std::move(values), mode);
  };
  return replacement;
}

// Gives the module tensors of its own: every node that runs in it reads the copies, all others the
// originals (PEFT: ModulesToSaveWrapper).
void AdaptedModel::save_module(ModuleId module) {
  const std::string path = model_.tree.modules[static_cast<std::size_t>(module)].path;
  std::map<std::int32_t, std::int32_t> copies;
  for (std::size_t i = 0; i < base_tensor_count_; ++i) {
    const ModelTensor base = model_.tensors[i];
    const auto name = base.name_in(path);
    if (!name || base.kind == ValueKind::kConstant) continue;
    at::Tensor copy = base.tensor.clone(at::MemoryFormat::Contiguous);
    const bool trainable = base.kind == ValueKind::kParameter && copy.is_floating_point();
    if (trainable) copy.requires_grad_(true);
    copies[static_cast<std::int32_t>(i)] = static_cast<std::int32_t>(model_.tensors.size());
    model_.tensors.push_back({path + "." + *name, {}, base.kind, base.persistent, copy, -1});
    if (base.persistent) {
      added_.push_back({path, *name, copy, trainable});
    }
  }
  std::map<ValueId, ValueId> renamed;
  const auto rename = [&](ValueId& id) {
    const auto copy = copies.find(model_.graph.values[static_cast<std::size_t>(id)].tensor);
    if (copy == copies.end()) return;
    const auto [entry, is_new] =
        renamed.emplace(id, static_cast<ValueId>(model_.graph.values.size()));
    if (is_new) {
      Value value = model_.graph.values[static_cast<std::size_t>(id)];
      value.tensor = copy->second;
      model_.graph.values.push_back(std::move(value));
    }
    id = entry->second;
  };
  for (Node& node : model_.graph.nodes) {
    const auto& stack = node.module_stack;
    if (std::find(stack.begin(), stack.end(), module) == stack.end()) continue;
    node.trains_statistics = true;
    for_each_read(node, rename);
  }
}

std::vector<at::Tensor> AdaptedModel::forward(const std::vector<at::Tensor>& inputs,
                                              const RunMode& mode) const {
  check_inputs(model_.inputs, inputs, model_.guards);
  std::vector<at::Tensor> outputs;
  for (c10::IValue& value :
       program_->run(std::vector<c10::IValue>(inputs.begin(), inputs.end()), mode)) {
    if (value.isTensor()) outputs.push_back(std::move(value).toTensor());
  }
  return outputs;
}

std::span<const ModelTensor> AdaptedModel::base_tensors() const {
  return {model_.tensors.data(), base_tensor_count_};
}

void AdaptedModel::train_base() {
  for (ModelTensor& tensor : model_.tensors) {
    if (tensor.kind == ValueKind::kParameter && tensor.tensor.is_floating_point()) {
      tensor.tensor.requires_grad_(true);
      tensor.crc32 = -1;
    }
  }
  for (Node& node : model_.graph.nodes) node.trains_statistics = true;
  program_ = std::make_unique<Program>(model_.graph, model_.tensors);
}

std::vector<at::Tensor> AdaptedModel::trainable() const {
  std::vector<at::Tensor> tensors;
  for (const AddedTensor& added : added_) {
    if (added.trainable) tensors.push_back(added.tensor);
  }
  for (const ModelTensor& tensor : base_tensors()) {
    if (tensor.tensor.requires_grad()) tensors.push_back(tensor.tensor);
  }
  return tensors;
}

ParameterCount count_parameters(const AdaptedModel& model) {
  ParameterCount count;
  std::set<const void*> counted;
  for (const ModelTensor& tensor : model.base_tensors()) {
    if (tensor.kind != ValueKind::kParameter) continue;
    if (!counted.insert(tensor.tensor.const_data_ptr()).second) continue;
    count.all += tensor.tensor.numel();
    if (tensor.tensor.requires_grad()) count.trainable += tensor.tensor.numel();
  }
  for (const AddedTensor& added : model.added()) {
    if (!added.trainable) continue;
    count.all += added.tensor.numel();
    count.trainable += added.tensor.numel();
  }
  return count;
}

std::string trainable_line(const ParameterCount& count) {
  std::array<char, 32> percent{};
  const double share = count.all == 0 ? 0
                                      : 100.0 * static_cast<double>(count.trainable) /
                                            static_cast<double>(count.all);
  std::snprintf(percent.data(), percent.size(), "%.4f", share);
  return "trainable params: " + with_commas(count.trainable) +
         " || all params: " + with_commas(count.all) + " || trainable%: " + percent.data();
}

}  // namespace tenon
