#include "start/layer_calls.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>

#include <memory>
#include <optional>
#include <utility>

#include "adapted/adapted_layer.h"
#include "base/error.h"

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

// Keeps what layers take and give, and makes their outputs what a gradient can be asked for.
class RecordingRunner final : public LayerRunner {
 public:
  explicit RecordingRunner(std::vector<RecordedCall>& calls) : calls_(calls) {}
  std::vector<c10::IValue> run(const AdaptedLayer& layer, const SubgraphProgram& subgraph,
                               const std::vector<c10::IValue>& values,
                               const RunMode& mode) const override {
    RecordedCall call{layer.path(), {}, {}, {}};
    // Copies, as the program may write into what it has.
    for (const c10::IValue& value : std::span(values).first(subgraph.n_inputs)) {
      call.inputs.push_back(value.toTensor().detach().clone());
    }
    std::vector<c10::IValue> outputs =
        LayerRun(layer.choose_base(), subgraph, values, mode).outputs();
    for (c10::IValue& output : outputs) {
      at::Tensor tensor = output.toTensor();
      if (tensor.is_floating_point() && !tensor.requires_grad()) {
        tensor = tensor.detach().requires_grad_(true);
      }
      output = tensor.clone();
      call.outputs.push_back(std::move(tensor));
    }
    calls_.push_back(std::move(call));
    return outputs;
  }

 private:
  std::vector<RecordedCall>& calls_;
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

std::vector<RecordedCall> record_calls(const AdaptedModel& model, const Batch& batch,
                                       const LossOfOutputs& loss_of) {
  const at::AutoGradMode with_gradients(true);
  std::vector<RecordedCall> calls;
  const at::Tensor loss = loss_of(model.forward(
      batch.inputs, {.training = false, .layers = std::make_shared<const RecordingRunner>(calls)}));
  std::vector<at::Tensor> watched;
  for (const RecordedCall& call : calls) {
    for (const at::Tensor& output : call.outputs) {
      if (output.requires_grad()) watched.push_back(output);
    }
  }
  if (!loss.requires_grad()) {
    throw Error({.stage = Stage::kTraining,
                 .message = "the loss depends on none of the layers that the adapter is for"});
  }
  std::vector<at::Tensor> gradients;
  try {
    gradients = torch::autograd::grad({loss}, watched, {}, std::nullopt, false,
                                      /*allow_unused=*/true);
  } catch (const c10::Error& error) {
    throw Error({.stage = Stage::kTraining,
                 .message = std::string("the gradient cannot be computed: ") +
                            error.what_without_backtrace()});
  }
  std::size_t next = 0;
  for (RecordedCall& call : calls) {
    for (at::Tensor& output : call.outputs) {
      call.gradients.push_back(output.requires_grad() ? gradients[next++] : at::Tensor());
      output = output.detach();
    }
  }
  return calls;
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
