#include <ATen/ATen.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>
#include <torch/nn/modules/linear.h>

#include "base/error.h"
#include "capture/captured_model.h"
#include "interpreter/interpreter.h"

// What a user's own library brings: operators that the dispatcher knows, with gradients of their
// own.
namespace tenon {
namespace {

namespace nn = torch::nn;
using at::Tensor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tensor call_tripled(const Tensor& x) {
  static const auto tripled = c10::Dispatcher::singleton()
                                  .findSchemaOrThrow("tenon_capture_test::tripled", "")
                                  .typed<Tensor(const Tensor&)>();
  return tripled.call(x);
}

// Its gradient is another one than autograd would find, to show which of the two runs.
struct Tripled : torch::autograd::Function<Tripled> {
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x) {
    const at::AutoDispatchBelowADInplaceOrView below;
    return call_tripled(x);
  }
  static std::vector<Tensor> backward(torch::autograd::AutogradContext*,
                                      const std::vector<Tensor>& gradients) {
    return {gradients[0] * 5};
  }
};

TORCH_LIBRARY(tenon_capture_test, library) { library.def("tripled(Tensor x) -> Tensor"); }
TORCH_LIBRARY_IMPL(tenon_capture_test, CPU, library) {
  library.impl("tripled", [](const Tensor& x) { return x * 3; });
}
TORCH_LIBRARY_IMPL(tenon_capture_test, Autograd, library) {
  library.impl("tripled", [](const Tensor& x) { return Tripled::apply(x); });
}

struct Net : nn::Module {
  Tensor forward(const Tensor& x) { return last(call_tripled(fc(x))); }
  nn::Linear fc = register_module("fc", nn::Linear(4, 3));
  nn::Linear last = register_module("last", nn::Linear(3, 2));
};

TEST(CaptureModel, RegisteredOperatorRunsWithItsOwnGradient) {
  const auto model = std::make_shared<Net>();
  const CapturedModel captured = capture_model(callable_model(model, {at::randn({3, 4})}));
  EXPECT_THAT(captured.notes, ElementsAre());
  const Program program(captured.data.graph, captured.data.tensors);
  const Tensor x = at::randn({5, 4});
  const Tensor own = model->forward(x);
  const Tensor replayed = program.run({x}, {})[0].toTensor();
  EXPECT_TRUE(at::equal(replayed, own));
  const std::vector<Tensor> parameters = model->parameters();
  const auto expected = torch::autograd::grad({own.sum()}, parameters);
  const auto actual = torch::autograd::grad({replayed.sum()}, parameters);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_TRUE(at::equal(actual[i], expected[i])) << i;
  }
  const Tensor of_bias = (model->last->weight.sum(0) * 5 * 5);  // five rows, five times each
  EXPECT_TRUE(at::allclose(actual[1], of_bias));
}

TEST(CaptureModel, StateThatIsKeptInAPlainMemberIsRefused) {
  struct Remembering : nn::Module {
    Tensor forward(const Tensor& x) {
      memory = at::tanh(fc(x).sum(0) + memory).detach();
      return memory;
    }
    nn::Linear fc = register_module("fc", nn::Linear(4, 3));
    Tensor memory = at::zeros({3});
  };
  try {
    capture_model(callable_model(std::make_shared<Remembering>(), {at::randn({3, 4})}));
    FAIL() << "captured";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("is not the same thing in both runs"));
  }
}

}  // namespace
}  // namespace tenon
