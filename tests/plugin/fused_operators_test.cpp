#include "plugin/fused_operators.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>

#include "plugin/dropout_mask.h"

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

at::Tensor fused(const Tensors& t, double dropout = 0) {
  torch::jit::Stack stack{t.x, t.weight, t.bias, t.a, t.b, kScaling, dropout};
  find_fused_operator("tenon::lora_linear")->kernel(stack);
  return stack.at(0).toTensor();
}

// The same by plain operators, `dropped` going to the low-rank part.
at::Tensor oracle(const Tensors& t, const at::Tensor& dropped) {
  return at::linear(t.x, t.weight, t.bias) + kScaling * at::linear(at::linear(dropped, t.a), t.b);
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

void expect_equal(const std::vector<at::Tensor>& got, const std::vector<at::Tensor>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_TRUE(at::allclose(got[i], wanted[i], 1e-10, 1e-10)) << "tensor " << i;
  }
}

class FusedLoraLinear : public ::testing::TestWithParam<std::vector<std::int64_t>> {};

TEST_P(FusedLoraLinear, OutputAndGradientsAreThoseOfPlainOperators) {
  const Tensors t = make(GetParam());
  const at::Tensor y = fused(t);
  const at::Tensor expected = oracle(t, t.x);
  EXPECT_TRUE(at::allclose(y, expected, 1e-12, 1e-12));
  expect_equal(gradients(y, t), gradients(expected, t));
}

TEST_P(FusedLoraLinear, DroppedOutInputGoesToTheLowRankPartOnly) {
  const Tensors t = make(GetParam());
  at::manual_seed(5);
  const at::Tensor y = fused(t, 0.4);
  at::manual_seed(5);  // the same draw again
  const at::Tensor mask = DropoutMask::draw(0.4).tensor_like(t.x.reshape({-1, 6}));
  const at::Tensor expected = oracle(t, t.x * mask.view_as(t.x));
  EXPECT_TRUE(at::allclose(y, expected, 1e-12, 1e-12));
  expect_equal(gradients(y, t), gradients(expected, t));
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
  expect_equal(second_gradients(fused(t), t), second_gradients(oracle(t, t.x), t));
}

// Two layers of other widths and ranks on one input, the second without a bias.
struct Pair {
  Tensors first = make({2, 3});
  at::Tensor weight = at::randn({4, 6}, at::kDouble).requires_grad_();
  at::Tensor a = at::randn({2, 6}, at::kDouble).requires_grad_();
  at::Tensor b = at::randn({4, 2}, at::kDouble).requires_grad_();

  Tensors as_second() const { return {first.x, weight, at::zeros({4}, at::kDouble), a, b}; }
  std::vector<at::Tensor> all() const {
    return {first.x, first.weight, first.bias, first.a, first.b, weight, a, b};
  }
  std::vector<at::Tensor> fused() const {
    const c10::List<std::optional<at::Tensor>> bias({first.bias, std::nullopt});
    torch::jit::Stack stack{first.x,
                            std::vector<at::Tensor>{first.weight, weight},
                            bias,
                            std::vector<at::Tensor>{first.a, a},
                            std::vector<at::Tensor>{first.b, b},
                            std::vector<double>{kScaling, kScaling},
                            0.0};
    find_fused_operator("tenon::lora_linears")->kernel(stack);
    return stack.at(0).toTensorVector();
  }
};

TEST(FusedOperators, AGroupOfLayersEqualsEachAlone) {
  const Pair pair;
  const std::vector<at::Tensor> got = pair.fused();
  const std::vector<at::Tensor> wanted{oracle(pair.first, pair.first.x),
                                       oracle(pair.as_second(), pair.first.x)};
  ASSERT_EQ(got.size(), 2);
  expect_equal(got, wanted);
  const auto loss = [](const std::vector<at::Tensor>& y) {
    return y[0].square().sum() + y[1].pow(3).sum();
  };
  expect_equal(torch::autograd::grad({loss(got)}, pair.all()),
               torch::autograd::grad({loss(wanted)}, pair.all()));
}

TEST(FusedOperators, AGroupWhoseOutputIsNotUsedGivesTheOthersGradients) {
  const Pair pair;
  const std::vector<at::Tensor> some{pair.first.x, pair.first.a, pair.first.b};
  expect_equal(torch::autograd::grad({pair.fused()[0].square().sum()}, some),
               torch::autograd::grad({oracle(pair.first, pair.first.x).square().sum()}, some));
}

TEST(FusedOperators, ListsOfDifferentLengthsAreRefused) {
  torch::jit::Stack stack{at::zeros({1, 2}),
                          std::vector<at::Tensor>{at::zeros({1, 2})},
                          c10::List<std::optional<at::Tensor>>(),
                          std::vector<at::Tensor>(),
                          std::vector<at::Tensor>(),
                          std::vector<double>(),
                          0.0};
  EXPECT_THROW(find_fused_operator("tenon::lora_linears")->kernel(stack), c10::Error);
}

TEST(FusedOperators, DropoutAndItsGradientHaveOneMask) {
  const at::Tensor x = at::ones({50, 7}, at::kDouble).requires_grad_();
  torch::jit::Stack stack{x, 0.25};
  find_fused_operator("tenon::dropout")->kernel(stack);
  const at::Tensor y = stack.at(0).toTensor();
  y.sum().backward();
  EXPECT_TRUE(at::equal(y, x.grad()));
  EXPECT_GT(at::count_nonzero(y == 0).item<std::int64_t>(), 0);
}

TEST(FusedOperators, FrozenBaseGetsNoGradient) {
  const Tensors t = make({4});
  t.weight.set_requires_grad(false);
  t.bias.set_requires_grad(false);
  t.x.set_requires_grad(false);
  fused(t).sum().backward();
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
