#include "start/layer_inputs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <memory>

#include "inject/adapted_layer.h"

namespace tenon {
namespace {

class InputRunner final : public LayerRunner {
 public:
  explicit InputRunner(const InputObserver& observer) : observer_(observer) {}
  std::vector<c10::IValue> run(const AdaptedLayer& layer, const RegionProgram& region,
                               const std::vector<c10::IValue>& values,
                               const RunMode& mode) const override {
    if (region.n_inputs > 0) observer_(layer.path(), values[0].toTensor());
    return LayerRun(layer.choose_base(), region, values, mode).outputs();
  }

 private:
  const InputObserver& observer_;
};

bool is_mask(const at::Tensor& tensor) {
  return tensor.dim() == 2 && at::isIntegralType(tensor.scalar_type(), /*includeBool=*/true);
}

}  // namespace

void observe_inputs(const AdaptedModel& model, const Batch& batch, const InputObserver& observer) {
  const at::NoGradGuard no_grad;
  model.forward(batch.inputs,
                {.training = false, .layers = std::make_shared<const InputRunner>(observer)});
}

at::Tensor used_positions(const std::vector<InputSpec>& inputs, const Batch& batch,
                          std::optional<std::int64_t> unlabelled) {
  at::Tensor used;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool named =
        inputs[i].name == "attention_mask" || inputs[i].argument_name == "attention_mask";
    if (named && is_mask(batch.inputs[i])) used = batch.inputs[i] != 0;
  }
  if (!unlabelled || !batch.target || !is_mask(*batch.target)) return used;
  const at::Tensor labelled = *batch.target != *unlabelled;
  if (!used.defined()) return labelled;
  return used.sizes() == labelled.sizes() ? used.logical_and(labelled) : used;
}

at::Tensor used_rows(const at::Tensor& input, const at::Tensor& positions) {
  const bool fits =
      positions.defined() && input.dim() > 2 && input.sizes().slice(0, 2) == positions.sizes();
  const at::Tensor rows = fits ? input.index({positions}) : input;
  return rows.reshape({-1, rows.size(-1)});
}

}  // namespace tenon
