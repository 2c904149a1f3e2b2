#include "train/training_task.h"

#include <ATen/Context.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "interpreter/autocast_scope.h"
#include "plan/token_rows.h"
#include "train/lost_gradients.h"

namespace tenon {
namespace {

std::optional<at::ScalarType> autocast_dtype(const TrainConfig& config) {
  if (!config.autocast) return std::nullopt;
  return *config.autocast == "bfloat16" ? at::kBFloat16 : at::kHalf;
}

// As torch means it, of the process. cuBLAS reads the variable when it is first used.
void use_deterministic_algorithms() {
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setBenchmarkCuDNN(false);
}

// The adapters' tensors that are neither trained nor written by the forward itself.
std::vector<at::Tensor> untrained_tensors(const AdaptedModel& model, const TrainingTask& task) {
  const auto holds = [](const std::vector<at::Tensor>& tensors, const at::Tensor& tensor) {
    return std::ranges::any_of(tensors,
                               [&](const at::Tensor& other) { return other.is_same(tensor); });
  };
  std::vector<at::Tensor> untrained;
  for (const std::string& name : model.adapter_names()) {
    for (const AddedTensor& added : model.adapter(name).tensors) {
      if (holds(task.parameters, added.tensor) || holds(task.buffers, added.tensor)) continue;
      untrained.push_back(added.tensor);
    }
  }
  return untrained;
}

// The module to whose output noise is added (transformers: get_input_embeddings).
ModuleId noisy_embedding(const ModelData& model) {
  const ModuleId embedding = input_embedding(model);
  const auto fail = [](const std::string& what) {
    throw Error({.stage = Stage::kInjection,
                 .message = "[train] neftune_noise_alpha adds noise to what the input embedding "
                            "gives, and " +
                            what,
                 .hint = "leave neftune_noise_alpha out"});
  };
  if (embedding == kNoModule) fail("the model has none that looks up its input's ids");
  const std::string& path = model.tree.at(embedding).path;
  const bool has_parts = std::ranges::any_of(model.tree.modules, [&](const Module& module) {
    return module.path != path && (path.empty() || module.path.starts_with(path + "."));
  });
  if (has_parts) {
    fail("the module that looks up the ids, `" + path + "`, does more: its rows are looked up by " +
         "no module of their own");
  }
  return embedding;
}

}  // namespace

void prepare_forwards(AdaptedModel& model, const TrainConfig& config) {
  model.checkpoint(config.checkpoint);
  if (!config.neftune_noise_alpha) return model.add_noise(std::nullopt);
  model.add_noise(NoisyModule{noisy_embedding(model.model()), *config.neftune_noise_alpha});
}

TrainingTask training_task(const AdaptedModel& model, const TrainConfig& config,
                           Objectives objectives) {
  if (config.deterministic) use_deterministic_algorithms();
  const bool train_statistics = config.batch_norm == "train" || config.full;
  TrainingTask task;
  task.objectives = std::move(objectives);
  task.parameters = model.trainable();
  task.inputs = model.model().inputs;
  task.guards = model.model().guards;
  task.buffers = model.buffers();
  task.untrained = untrained_tensors(model, task);
  task.roles = parameter_roles(model, task.parameters);
  auto methods = std::make_shared<MethodTraining>(model);
  if (!methods->is_empty()) task.methods = std::move(methods);
  const auto dtype = autocast_dtype(config);
  task.device = model.model().device;
  const at::DeviceType device = task.device.type();
  task.forward = [&model, train_statistics, dtype, device](const std::vector<at::Tensor>& inputs,
                                                           bool training) {
    const AutocastScope autocast(device, dtype);
    std::vector<at::Tensor> outputs = model.forward(inputs, {training, train_statistics});
    if (!dtype) return outputs;
    for (at::Tensor& output : outputs) {  // losses are computed in full precision
      if (output.scalar_type() == *dtype) output = output.to(at::kFloat);
    }
    return outputs;
  };
  task.lost_gradients = [&model, forward = task.forward](const std::vector<at::Tensor>& inputs) {
    return lost_gradients(model, [&] { return forward(inputs, false).front(); });
  };
  return task;
}

}  // namespace tenon
