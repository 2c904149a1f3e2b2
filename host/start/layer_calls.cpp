#include "start/layer_calls.h"

#include <ATen/ATen.h>

#include <memory>

#include "adapted/adapted_layer.h"

namespace tenon {
namespace {

class ObservingRunner final : public LayerRunner {
 public:
  explicit ObservingRunner(const CallObserver& observer) : observer_(observer) {}
  std::vector<c10::IValue> run(const AdaptedLayer& layer, const SubgraphProgram& subgraph,
                               const std::vector<c10::IValue>& values,
                               const RunMode& mode) const override {
    std::vector<c10::IValue> outputs =
        LayerRun(layer.choose_base(), subgraph, values, mode).outputs();
    observer_(layer.path(), std::span(values).first(subgraph.n_inputs), outputs);
    return outputs;
  }

 private:
  const CallObserver& observer_;
};

bool is_mask(const at::Tensor& tensor) {
  return tensor.dim() == 2 && at::isIntegralType(tensor.scalar_type(), /*includeBool=*/true);
}

}  // namespace

void observe_calls(const AdaptedModel& model, const Batch& batch, const CallObserver& observer) {
  const at::NoGradGuard no_grad;
  model.forward(batch.inputs,
                {.training = false, .layers = std::make_shared<const ObservingRunner>(observer)});
}

at::Tensor used_positions(const std::vector<InputSpec>& inputs, const Batch& batch) {
  at::Tensor used;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool named =
        inputs[i].name == "attention_mask" || inputs[i].argument_name == "attention_mask";
    if (named && is_mask(batch.inputs[i])) used = batch.inputs[i] != 0;
  }
  return used;
}

}  // namespace tenon
