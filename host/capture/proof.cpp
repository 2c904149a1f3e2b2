#include "capture/proof.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include <cstring>

#include "base/error.h"
#include "interpreter/interpreter.h"

namespace tenon {
namespace {

using Tensors = std::vector<at::Tensor>;

struct Outcome {
  Tensors outputs;    // the defined ones
  Tensors gradients;  // of the model's parameters and of float inputs; undefined where unused
};

// Fresh tensors, as the model may write into its inputs; float ones want gradients.
Tensors fresh(const Tensors& inputs) {
  Tensors copies;
  for (const at::Tensor& input : inputs) {
    at::Tensor copy = input.detach().clone();
    // A leaf that wants a gradient refuses to be written to: the model gets a copy of it.
    if (copy.is_floating_point()) copy.requires_grad_(true);
    copies.push_back(std::move(copy));
  }
  return copies;
}

// A view of a tensor that wants gradients says that it does too, even if autograd recorded nothing.
bool has_history(const at::Tensor& tensor) {
  return tensor.requires_grad() && tensor.grad_fn() != nullptr;
}

Tensors gradients_of(const Tensors& outputs, const Tensors& inputs, const ModelData& data) {
  Tensors wanted;
  for (const ModelTensor& tensor : data.tensors) {
    if (tensor.tensor.requires_grad()) wanted.push_back(tensor.tensor);
  }
  for (const at::Tensor& input : inputs) {
    if (input.requires_grad()) wanted.push_back(input);
  }
  Tensors roots;
  Tensors weights;  // differing ones, so that no two outputs cancel
  for (const at::Tensor& output : outputs) {
    if (!has_history(output)) continue;
    roots.push_back(output);
    weights.push_back(at::linspace(0.5, 1.5, output.numel(), output.options().requires_grad(false))
                          .view(output.sizes()));
  }
  if (roots.empty() || wanted.empty()) return {};
  return torch::autograd::grad(roots, wanted, weights, /*retain_graph=*/false,
                               /*create_graph=*/false, /*allow_unused=*/true);
}

bool same_bits(const at::Tensor& one, const at::Tensor& other) {
  if (one.sizes() != other.sizes() || one.scalar_type() != other.scalar_type()) return false;
  const at::Tensor a = one.detach().contiguous();
  const at::Tensor b = other.detach().contiguous();
  return a.nbytes() == 0 || std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

// Sums may be taken in another order.
bool close(const at::Tensor& one, const at::Tensor& other) {
  if (one.defined() != other.defined()) {
    const at::Tensor& only = one.defined() ? one : other;
    return !only.count_nonzero().item<bool>();
  }
  if (!one.defined() || same_bits(one, other)) return true;
  return one.sizes() == other.sizes() &&
         at::allclose(one, other, /*rtol=*/1e-4, /*atol=*/1e-6, /*equal_nan=*/true);
}

[[noreturn]] void fail(const std::string& what, bool training) {
  throw Error({.stage = Stage::kModel,
               .message = "the operators that were captured do not do what the model does: " +
                          what + " in " + (training ? "training" : "evaluation"),
               .hint = "the model does something that is no operator: writes through data "
                       "pointers, other threads, automatic casts, gradients of its own"});
}

void compare(const Outcome& own, const Outcome& captured, bool training) {
  if (own.outputs.size() != captured.outputs.size())
    fail("the number of outputs differs", training);
  for (std::size_t i = 0; i < own.outputs.size(); ++i) {
    if (!same_bits(own.outputs[i], captured.outputs[i])) {
      fail("output " + std::to_string(i) + " differs", training);
    }
    if (has_history(own.outputs[i]) != has_history(captured.outputs[i])) {
      fail("output " + std::to_string(i) + " has a gradient in one of them only", training);
    }
  }
  if (own.gradients.size() != captured.gradients.size()) fail("gradients differ", training);
  for (std::size_t i = 0; i < own.gradients.size(); ++i) {
    if (!close(own.gradients[i], captured.gradients[i])) fail("gradients differ", training);
  }
}

template <typename Forward>
Outcome outcome_of(const Forward& forward, const Tensors& inputs, const ModelData& data,
                   ModuleState& state, bool with_gradients) {
  state.reset();
  const at::AutoGradMode mode(with_gradients);
  const Tensors leaves = fresh(inputs);
  Tensors given;
  for (const at::Tensor& leaf : leaves) given.push_back(leaf.alias());
  Outcome outcome;
  for (const at::Tensor& output : forward(given)) {
    if (output.defined()) outcome.outputs.push_back(output);
  }
  if (with_gradients) outcome.gradients = gradients_of(outcome.outputs, leaves, data);
  return outcome;
}

}  // namespace

void prove(const ModelData& data, const CallableModel& model, const Tensors& inputs,
           ModuleState& state, bool with_training) {
  const Program program(data.graph, data.tensors);
  for (const bool training : {false, true}) {
    if (training && !with_training) break;
    state.set_training(training);
    const auto captured = [&](const Tensors& given) {
      Tensors outputs;
      const RunMode mode{training, training};
      for (c10::IValue& value :
           program.run(std::vector<c10::IValue>(given.begin(), given.end()), mode)) {
        if (value.isTensor()) outputs.push_back(std::move(value).toTensor());
      }
      return outputs;
    };
    compare(outcome_of(model.forward, inputs, data, state, true),
            outcome_of(captured, inputs, data, state, true), training);
  }
  state.reset();
}

}  // namespace tenon
