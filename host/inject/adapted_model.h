#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "inject/adapted_layer.h"
#include "inject/injection_plan.h"
#include "model/interpreter.h"

namespace tenon {

// A tensor that the adapter adds: a layer's parameter or the copy of a module to save.
struct AddedTensor {
  std::string module;  // path of the layer or the module to save; "" if layers share it
  std::string name;    // behind the path: "lora_A.weight", "weight"
  at::Tensor tensor;
  bool trainable = true;
  std::string key() const { return module + "." + name; }
};

// A model that is ready to run: the frozen base, and what an injection put on it. Without a plan it
// is the bare base.
class AdaptedModel {
 public:
  explicit AdaptedModel(ModelData model);
  // Commits a plan: parameters are allocated and started from `seed`. Nothing of the base changes.
  AdaptedModel(ModelData model, const InjectionPlan& plan, std::uint64_t seed);

  // Flattened tensor outputs. Inputs are checked first.
  std::vector<at::Tensor> forward(const std::vector<at::Tensor>& inputs, const RunMode& mode) const;

  const ModelData& model() const { return model_; }
  // The base's own tensors, without copies for modules to save.
  std::span<const ModelTensor> base_tensors() const;
  const std::vector<AddedTensor>& added() const { return added_; }
  // Trains every parameter of the base itself ([train] full).
  void train_base();
  std::vector<at::Tensor> trainable() const;

 private:
  void save_module(ModuleId module);
  Replacement make_replacement(const PlannedLayer& planned, const Region& region,
                               std::shared_ptr<const AdaptedLayer> layer) const;

  ModelData model_;
  std::size_t base_tensor_count_;
  std::vector<AddedTensor> added_;
  std::unique_ptr<Program> program_;
};

// Trainable and all parameters; every storage counts once, buffers do not.
struct ParameterCount {
  std::int64_t trainable = 0;
  std::int64_t all = 0;
};
ParameterCount count_parameters(const AdaptedModel& model);

// "trainable params: 52,162 || all params: 4,100,164 || trainable%: 1.2722", as PEFT prints it.
std::string trainable_line(const ParameterCount& count);

}  // namespace tenon
