#include "plugin/lora_conv_function.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "plugin/dropout_mask.h"

namespace tenon {
namespace {

constexpr double kConvScaling = 2.5;

struct Case {
  const char* name;
  std::vector<std::int64_t> x;       // (batch, in, size...) or (in, size...)
  std::vector<std::int64_t> kernel;  // of each dimension
  std::vector<std::int64_t> stride;
  std::vector<std::int64_t> padding;
  std::vector<std::int64_t> dilation;
  bool has_bias = true;
  bool channels_last = false;

  friend void PrintTo(const Case& given, std::ostream* out) { *out << given.name; }
};

struct ConvTensors {
  at::Tensor x;
  LoraConv layer;

  std::vector<at::Tensor> all() const {
    std::vector<at::Tensor> tensors{x, layer.weight, layer.a, layer.b};
    if (layer.bias.defined()) tensors.push_back(layer.bias);
    return tensors;
  }
};

ConvTensors make(const Case& given) {
  constexpr std::int64_t kOut = 5;
  constexpr std::int64_t kRank = 2;
  const std::int64_t in = given.x[given.x.size() - given.kernel.size() - 1];
  const auto random = [](std::vector<std::int64_t> shape, const std::vector<std::int64_t>& kernel) {
    shape.insert(shape.end(), kernel.begin(), kernel.end());
    return at::randn(shape, at::kDouble);
  };
  const std::vector<std::int64_t> ones(given.kernel.size(), 1);
  ConvTensors t{at::randn(given.x, at::kDouble),
                {random({kOut, in}, given.kernel),
                 given.has_bias ? at::randn({kOut}, at::kDouble) : at::Tensor(),
                 random({kRank, in}, given.kernel), random({kOut, kRank}, ones), given.stride,
                 given.padding, given.dilation, kConvScaling, 0}};
  if (given.channels_last) t.x = t.x.contiguous(at::MemoryFormat::ChannelsLast);
  for (const at::Tensor& tensor : t.all()) tensor.set_requires_grad(true);
  return t;
}

// The same by plain operators, `dropped` going to the low-rank part.
at::Tensor conv_oracle(const ConvTensors& t, const at::Tensor& dropped) {
  const LoraConv& layer = t.layer;
  const bool is_single = t.x.dim() == layer.weight.dim() - 1;
  const auto conv = [&](const at::Tensor& x, const at::Tensor& kernel, const at::Tensor& bias) {
    const std::vector<std::int64_t> zeros(layer.stride.size(), 0);
    return at::convolution(x, kernel, bias.defined() ? std::optional(bias) : std::nullopt,
                           layer.stride, layer.padding, layer.dilation, false, zeros, 1);
  };
  const at::Tensor low = conv(is_single ? dropped.unsqueeze(0) : dropped, layer.a, {});
  const at::Tensor rows = at::matmul(layer.b.flatten(1), low.flatten(2));
  const at::Tensor base = conv(is_single ? t.x.unsqueeze(0) : t.x, layer.weight, layer.bias);
  const at::Tensor y = base + kConvScaling * rows.view(base.sizes());
  return is_single ? y.squeeze(0) : y;
}

at::Tensor weighed(const at::Tensor& y) {
  return (y * at::arange(y.numel(), y.options()).view(y.sizes()).sin()).sum();
}

void expect_close(const std::vector<at::Tensor>& got, const std::vector<at::Tensor>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_TRUE(at::allclose(got[i], wanted[i], 1e-9, 1e-9)) << "tensor " << i;
  }
}

std::vector<at::Tensor> conv_second_gradients(const at::Tensor& y, const ConvTensors& t) {
  at::Tensor norm = at::zeros({}, at::kDouble);
  for (const at::Tensor& gradient :
       torch::autograd::grad({y.square().sum()}, t.all(), {}, std::nullopt, true)) {
    norm = norm + gradient.square().sum();
  }
  return torch::autograd::grad({norm}, t.all());
}

class LoraConvCases : public ::testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(
    Cases, LoraConvCases,
    ::testing::Values(
        Case{"Points", {3, 4, 6, 5}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
        Case{"PointsWithoutBias", {3, 4, 7}, {1}, {1}, {0}, {1}, false},
        Case{"PointsOfOne", {4, 6, 5}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
        Case{"PaddedPoints", {2, 4, 6}, {1}, {1}, {2}, {1}},
        Case{"StridedPoints", {2, 4, 6, 5}, {1, 1}, {2, 2}, {0, 0}, {1, 1}},
        Case{"Patches", {2, 3, 9, 8}, {3, 2}, {2, 1}, {1, 2}, {1, 2}},
        Case{"PatchesOfOne", {3, 9}, {3}, {2}, {1}, {2}, false},
        Case{"Volumes", {2, 3, 5, 4, 6}, {2, 1, 3}, {1, 2, 1}, {0, 1, 1}, {1, 1, 1}},
        Case{"PointsChannelsLast", {3, 4, 6, 5}, {1, 1}, {1, 1}, {0, 0}, {1, 1}, true, true},
        Case{"PatchesChannelsLast", {3, 4, 6, 5}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, true, true}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(LoraConvCases, OutputAndGradientsAreThoseOfPlainOperators) {
  const ConvTensors t = make(GetParam());
  const at::Tensor y = lora_conv(t.x, t.layer);
  const at::Tensor expected = conv_oracle(t, t.x);
  expect_close({y}, {expected});
  expect_close(torch::autograd::grad({weighed(y)}, t.all()),
               torch::autograd::grad({weighed(expected)}, t.all()));
}

TEST_P(LoraConvCases, DroppedOutInputGoesToTheLowRankPartOnly) {
  ConvTensors t = make(GetParam());
  t.layer.dropout = 0.4;
  at::manual_seed(5);
  const at::Tensor y = lora_conv(t.x, t.layer);
  at::manual_seed(5);  // the same draw again
  const bool is_single = t.x.dim() == t.layer.weight.dim() - 1;
  const at::Tensor shaped = is_single ? t.x.unsqueeze(0) : t.x;
  const at::Tensor mask = DropoutMask::draw(0.4).tensor_like(shaped).view(t.x.sizes());
  const at::Tensor expected = conv_oracle(t, t.x * mask);
  expect_close({y}, {expected});
  expect_close(torch::autograd::grad({weighed(y)}, t.all()),
               torch::autograd::grad({weighed(expected)}, t.all()));
}

TEST_P(LoraConvCases, SecondGradientsAreThoseOfPlainOperators) {
  const ConvTensors t = make(GetParam());
  expect_close(conv_second_gradients(lora_conv(t.x, t.layer), t),
               conv_second_gradients(conv_oracle(t, t.x), t));
}

TEST(LoraConvFunction, FrozenBaseAndInputGetNoGradient) {
  const ConvTensors t = make({"", {2, 4, 6}, {1}, {1}, {0}, {1}});
  t.layer.weight.set_requires_grad(false);
  t.layer.bias.set_requires_grad(false);
  t.x.set_requires_grad(false);
  lora_conv(t.x, t.layer).sum().backward();
  EXPECT_TRUE(t.layer.a.grad().defined());
  EXPECT_TRUE(t.layer.b.grad().defined());
  EXPECT_FALSE(t.layer.weight.grad().defined());
  EXPECT_FALSE(t.x.grad().defined());
}

}  // namespace
}  // namespace tenon
