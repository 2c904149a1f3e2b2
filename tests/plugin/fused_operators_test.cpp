#include "plugin/fused_operators.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>

namespace tenon {
namespace {

struct Tensors {
  at::Tensor x;
  at::Tensor weight;
  at::Tensor bias;
  at::Tensor a;
  at::Tensor b;

  std::vector<at::Tensor> all() const { return {x, weight, bias, a, b}; }
};

constexpr double kScaling = 2.5;

Tensors make(at::IntArrayRef rows, at::ScalarType dtype = at::kDouble) {
  std::vector<std::int64_t> shape = rows.vec();
  shape.push_back(6);
  Tensors t{at::randn(shape, dtype), at::randn({5, 6}, dtype), at::randn({5}, dtype),
            at::randn({3, 6}, dtype), at::randn({5, 3}, dtype)};
  for (const at::Tensor& tensor : t.all()) tensor.set_requires_grad(true);
  return t;
}

at::Tensor fused(const at::Tensor& x, const at::Tensor& x_lora, const Tensors& t) {
  torch::jit::Stack stack{x, x_lora, t.weight, t.bias, t.a, t.b, kScaling};
  find_fused_operator("tenon::lora_linear")->kernel(stack);
  return stack.at(0).toTensor();
}

// The same by plain operators.
at::Tensor oracle(const at::Tensor& x, const at::Tensor& x_lora, const Tensors& t) {
  return at::linear(x, t.weight, t.bias) + kScaling * at::linear(at::linear(x_lora, t.a), t.b);
}

std::vector<at::Tensor> gradients(const at::Tensor& y, const Tensors& t) {
  (y * at::arange(y.numel(), y.options()).view_as(y)).sum().backward();
  std::vector<at::Tensor> out;
  for (const at::Tensor& tensor : t.all()) {
    out.push_back(tensor.grad().clone());
    tensor.mutable_grad().reset();
  }
  return out;
}

// Output and all gradients of both; `x_lora()` makes what goes to the low-rank part, anew for each,
// since a backward frees its graph.
template <typename MakeInput>
void expect_equal_to_oracle(const Tensors& t, const MakeInput& x_lora) {
  const at::Tensor y = fused(t.x, x_lora(), t);
  const at::Tensor expected = oracle(t.x, x_lora(), t);
  EXPECT_TRUE(at::allclose(y, expected, 1e-12, 1e-12));
  const std::vector<at::Tensor> got = gradients(y, t);
  const std::vector<at::Tensor> wanted = gradients(expected, t);
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_TRUE(at::allclose(got[i], wanted[i], 1e-10, 1e-10)) << "tensor " << i;
  }
}

class FusedLoraLinear : public ::testing::TestWithParam<std::vector<std::int64_t>> {};

TEST_P(FusedLoraLinear, OutputAndGradientsAreThoseOfPlainOperators) {
  const Tensors t = make(GetParam());
  expect_equal_to_oracle(t, [&] { return t.x; });
}

TEST_P(FusedLoraLinear, DroppedOutInputGoesToTheLowRankPartOnly) {
  const Tensors t = make(GetParam());
  const at::Tensor mask = (at::rand(t.x.sizes(), t.x.options()) > 0.5).to(at::kDouble) * 2;
  expect_equal_to_oracle(t, [&] { return t.x * mask; });
}

INSTANTIATE_TEST_SUITE_P(Rows, FusedLoraLinear,
                         ::testing::Values(std::vector<std::int64_t>{7},
                                           std::vector<std::int64_t>{2, 3},
                                           std::vector<std::int64_t>{2, 3, 4}),
                         [](const auto& test) {
                           return std::to_string(test.param.size() + 1) + "dimensions";
                         });

// The gradient of the squared norm of all gradients.
std::vector<at::Tensor> second_gradients(const at::Tensor& y, const Tensors& t) {
  const std::vector<at::Tensor> first =
      torch::autograd::grad({y.square().sum()}, t.all(), {}, std::nullopt, /*create_graph=*/true);
  at::Tensor norm = at::zeros({}, at::kDouble);
  for (const at::Tensor& gradient : first) norm = norm + gradient.square().sum();
  return torch::autograd::grad({norm}, t.all());
}

TEST(FusedOperators, SecondGradientsAreThoseOfPlainOperators) {
  const Tensors t = make({2, 3});
  const std::vector<at::Tensor> got = second_gradients(fused(t.x, t.x, t), t);
  const std::vector<at::Tensor> wanted = second_gradients(oracle(t.x, t.x, t), t);
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_TRUE(at::allclose(got[i], wanted[i], 1e-9, 1e-9)) << "tensor " << i;
  }
}

TEST(FusedOperators, FrozenBaseGetsNoGradient) {
  const Tensors t = make({4});
  t.weight.set_requires_grad(false);
  t.bias.set_requires_grad(false);
  t.x.set_requires_grad(false);
  fused(t.x, t.x, t).sum().backward();
  EXPECT_TRUE(t.a.grad().defined());
  EXPECT_TRUE(t.b.grad().defined());
  EXPECT_FALSE(t.weight.grad().defined());
  EXPECT_FALSE(t.x.grad().defined());
}

TEST(FusedOperators, UnknownNameIsNotGuessed) {
  EXPECT_EQ(find_fused_operator("tenon::lora_conv9d"), nullptr);
  EXPECT_EQ(find_fused_operator("aten::linear"), nullptr);
}

}  // namespace
}  // namespace tenon
