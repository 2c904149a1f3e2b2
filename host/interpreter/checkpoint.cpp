#include "interpreter/checkpoint.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <mutex>

#include "base/error.h"
#include "interpreter/autocast_scope.h"

namespace tenon {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor random_state() {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return generator.get_state();
}

// Random numbers as they were at `state`, until the end.
class RandomState {
 public:
  explicit RandomState(const at::Tensor& state) : found_(random_state()) { set(state); }
  ~RandomState() { set(found_); }
  RandomState(const RandomState&) = delete;
  RandomState& operator=(const RandomState&) = delete;

 private:
  static void set(const at::Tensor& state) {
    at::Generator generator = at::detail::getDefaultCPUGenerator();
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(state);
  }
  at::Tensor found_;
};

// One run, between forward and backward. Input tensors are autograd's to keep, so that writing into
// them meanwhile is found out; `values` holds the numbers, and none in the tensors' places.
struct Run : torch::CustomClassHolder {
  Segment segment;
  std::vector<c10::IValue> values;
  std::vector<std::size_t> tensor_places;
  std::vector<at::Tensor> parameters;
  std::vector<at::Tensor> written;
  std::vector<c10::IValue> outputs;  // of the forward; taken by the caller
  at::Tensor random;
  c10::DeviceType device = c10::kCPU;
  std::optional<at::ScalarType> autocast;

  std::vector<c10::IValue> run(at::TensorList tensors) const {
    std::vector<c10::IValue> all = values;
    for (std::size_t i = 0; i < tensor_places.size(); ++i) all[tensor_places[i]] = tensors[i];
    return segment(std::move(all));
  }
};

struct CheckpointFunction : torch::autograd::Function<CheckpointFunction> {
  // `tensors`: the inputs, then the parameters.
  static variable_list forward(AutogradContext* context, const at::TensorList& tensors,
                               const c10::intrusive_ptr<Run>& run) {
    const at::TensorList inputs = tensors.slice(0, run->tensor_places.size());
    run->outputs = run->run(inputs);
    context->save_for_backward(inputs.vec());
    context->set_materialize_grads(false);
    context->saved_data["run"] = c10::IValue::make_capsule(run);
    variable_list outputs;
    for (const c10::IValue& output : run->outputs) {
      if (output.isTensor()) outputs.push_back(output.toTensor());
    }
    return outputs;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    if (at::GradMode::is_enabled()) {
      throw Error({.stage = Stage::kTraining,
                   .message = "the gradient of a checkpointed module cannot be differentiated",
                   .hint = "leave [train] checkpoint out"});
    }
    const auto run =
        c10::static_intrusive_pointer_cast<Run>(context->saved_data["run"].toCapsule());
    variable_list inputs = context->get_saved_variables();
    variable_list wanted;  // what gets a gradient, and its place among the function's arguments
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const bool requires_grad = inputs[i].requires_grad();
      inputs[i] = inputs[i].detach().requires_grad_(requires_grad);
      if (!requires_grad) continue;
      wanted.push_back(inputs[i]);
      places.push_back(i);
    }
    for (std::size_t i = 0; i < run->parameters.size(); ++i) {
      wanted.push_back(run->parameters[i]);
      places.push_back(inputs.size() + i);
    }
    variable_list out(inputs.size() + run->parameters.size() + 1);  // none for the run itself
    variable_list roots, root_gradients;
    const variable_list outputs = run_again(*run, inputs);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!gradients[i].defined() || !outputs[i].requires_grad()) continue;
      roots.push_back(outputs[i]);
      root_gradients.push_back(gradients[i]);
    }
    if (roots.empty()) return out;
    const variable_list found = torch::autograd::grad(roots, wanted, root_gradients, false, false,
                                                      /*allow_unused=*/true);
    for (std::size_t i = 0; i < found.size(); ++i) out[places[i]] = found[i];
    return out;
  }

 private:
  // Its tensor outputs, with the graph behind them.
  static variable_list run_again(const Run& run, const variable_list& inputs) {
    const at::AutoGradMode with_grad(true);
    const AutocastScope autocast(run.device, run.autocast);
    const RandomState random(run.random);
    std::vector<at::Tensor> written;
    for (const at::Tensor& tensor : run.written) written.push_back(tensor.clone());
    variable_list outputs;
    for (c10::IValue& output : run.run(inputs)) {
      if (output.isTensor()) outputs.push_back(std::move(output).toTensor());
    }
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < written.size(); ++i) at::Tensor(run.written[i]).copy_(written[i]);
    return outputs;
  }
};

}  // namespace

std::vector<c10::IValue> run_checkpointed(Segment segment, std::vector<c10::IValue> values,
                                          std::vector<at::Tensor> parameters,
                                          std::vector<at::Tensor> written) {
  const auto requires_grad = [](const at::Tensor& tensor) { return tensor.requires_grad(); };
  variable_list tensors;
  for (const c10::IValue& value : values) {
    if (value.isTensor()) tensors.push_back(value.toTensor());
  }
  std::erase_if(parameters, std::not_fn(requires_grad));
  const bool records = at::GradMode::is_enabled() &&
                       (!parameters.empty() || std::ranges::any_of(tensors, requires_grad));
  if (!records) return segment(std::move(values));

  const auto run = c10::make_intrusive<Run>();
  run->segment = std::move(segment);
  run->random = random_state();
  if (!tensors.empty()) run->device = tensors[0].device().type();
  if (at::autocast::is_autocast_enabled(run->device)) {
    run->autocast = at::autocast::get_autocast_dtype(run->device);
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!values[i].isTensor()) continue;
    run->tensor_places.push_back(i);
    values[i] = c10::IValue();
  }
  run->values = std::move(values);
  run->parameters = std::move(parameters);
  run->written = std::move(written);
  tensors.insert(tensors.end(), run->parameters.begin(), run->parameters.end());

  const variable_list tracked = CheckpointFunction::apply(at::TensorList(tensors), run);
  std::vector<c10::IValue> outputs = std::move(run->outputs);
  run->outputs.clear();
  std::size_t next = 0;
  for (c10::IValue& output : outputs) {
    if (output.isTensor()) output = tracked[next++];
  }
  return outputs;
}

}  // namespace tenon
