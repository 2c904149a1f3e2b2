#include "interpreter/attention.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "interpreter/autocast_scope.h"
#include "support/error_matchers.h"

namespace tenon {
namespace {

// attention(query, key, value, mask) of the graph's four inputs.
Program program(bool is_causal, const std::optional<double>& scale = {}) {
  Graph graph;
  for (const char* name : {"query", "key", "value", "mask"}) {
    graph.values.push_back({name, ValueKind::kInput, -1, false});
  }
  graph.values.push_back({"attention", ValueKind::kIntermediate, -1, false});
  Node node;
  node.target = "aten::scaled_dot_product_attention";
  node.arguments = {
      {"query", {0}}, {"key", {1}}, {"value", {2}}, {"is_causal", {c10::IValue(is_causal)}}};
  if (!is_causal) node.arguments.push_back({"attn_mask", {3}});
  if (scale) node.arguments.push_back({"scale", {c10::IValue(*scale)}});
  node.results = {{false, {4}}};
  graph.nodes.push_back(std::move(node));
  graph.inputs = {0, 1, 2, 3};
  graph.outputs = {{4}};
  return {graph, {}};
}

struct Inputs {
  at::Tensor query;
  at::Tensor key;
  at::Tensor value;
  at::Tensor mask;

  std::vector<at::Tensor> trained() const { return {query, key, value}; }
  std::vector<c10::IValue> all() const { return {query, key, value, mask}; }
};

// Of `tokens` and two heads of eight numbers; the mask hides the last token.
Inputs inputs(at::ScalarType dtype, bool bool_mask, std::int64_t tokens = 6) {
  at::manual_seed(3);
  const auto random = [&] { return at::randn({2, 2, tokens, 8}).to(dtype).requires_grad_(true); };
  at::Tensor seen = at::ones({2, 1, tokens, tokens}, at::kBool);
  seen.select(3, tokens - 1).fill_(false);
  at::Tensor mask =
      bool_mask ? seen : at::zeros(seen.sizes(), dtype).masked_fill_(seen.logical_not(), -HUGE_VAL);
  return {random(), random(), random(), mask};
}

std::vector<at::Tensor> gradients(const at::Tensor& y, const Inputs& in) {
  const at::Tensor weights = at::arange(y.numel(), at::kFloat).view(y.sizes()).sin();
  return torch::autograd::grad({(y.to(at::kFloat) * weights).sum()}, in.trained());
}

double difference(const at::Tensor& got, const at::Tensor& wanted) {
  return ((got.to(at::kFloat) - wanted.to(at::kFloat)).norm() / wanted.to(at::kFloat).norm())
      .item<double>();
}

// The output is LibTorch's own, and the gradients are nearer to the exact ones than LibTorch's.
void expect_better_gradients(const at::Tensor& y, const Inputs& in, bool is_causal,
                             const std::optional<double>& scale) {
  const auto plain = [&](const Inputs& of) {
    return at::scaled_dot_product_attention(of.query, of.key, of.value,
                                            is_causal ? std::nullopt : std::optional(of.mask), 0,
                                            is_causal, scale);
  };
  Inputs exact{in.query.detach().to(at::kDouble).requires_grad_(true),
               in.key.detach().to(at::kDouble).requires_grad_(true),
               in.value.detach().to(at::kDouble).requires_grad_(true),
               in.mask.scalar_type() == at::kBool ? in.mask : in.mask.to(at::kDouble)};
  const at::Tensor theirs = plain(in);
  EXPECT_TRUE(at::equal(y, theirs));
  const std::vector<at::Tensor> got = gradients(y, in);
  const std::vector<at::Tensor> of_libtorch = gradients(theirs, in);
  const std::vector<at::Tensor> wanted = gradients(plain(exact), exact);
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].scalar_type(), in.query.scalar_type());
    EXPECT_LT(difference(got[i], wanted[i]), 0.01);
    EXPECT_LT(difference(got[i], wanted[i]), 1.05 * difference(of_libtorch[i], wanted[i]));
  }
}

TEST(AttentionInstruction, HalfPrecisionGradientsAreTheExactOnesRounded) {
  for (const bool bool_mask : {false, true}) {
    const Inputs in = inputs(at::kBFloat16, bool_mask);
    expect_better_gradients(program(false).run(in.all(), {})[0].toTensor(), in, false, {});
  }
}

TEST(AttentionInstruction, HalfPrecisionGradientsFollowCausalityAndScale) {
  const Inputs in = inputs(at::kBFloat16, true);
  expect_better_gradients(program(true, 0.7).run(in.all(), {})[0].toTensor(), in, true, 0.7);
}

TEST(AttentionInstruction, AutocastCastsAsLibtorchDoes) {
  const Inputs in = inputs(at::kFloat, false);
  const AutocastScope autocast(at::kCPU, at::kBFloat16);
  const at::Tensor y = program(false).run(in.all(), {})[0].toTensor();
  const at::Tensor expected = at::scaled_dot_product_attention(in.query, in.key, in.value, in.mask);
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(y, expected));
  const std::vector<at::Tensor> got = gradients(y, in);
  const std::vector<at::Tensor> wanted = gradients(expected, in);
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_LT(difference(got[i], wanted[i]), 0.02);
}

TEST(AttentionInstruction, EverythingElseIsLibtorchsToTheBit) {
  for (const auto& [dtype, tokens] : {std::pair(at::kFloat, 6), std::pair(at::kBFloat16, 1100)}) {
    const Inputs in = inputs(dtype, false, tokens);
    const at::Tensor y = program(false).run(in.all(), {})[0].toTensor();
    const at::Tensor expected =
        at::scaled_dot_product_attention(in.query, in.key, in.value, in.mask);
    EXPECT_TRUE(at::equal(y, expected));
    const std::vector<at::Tensor> got = gradients(y, in);
    const std::vector<at::Tensor> wanted = gradients(expected, in);
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(at::equal(got[i], wanted[i]));
  }
}

}  // namespace
}  // namespace tenon
