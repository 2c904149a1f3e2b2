#include "interpreter/interpreter.h"

#include <ATen/ATen.h>

#include <thread>

#include "support/error_matchers.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;

// y = relu(x W^T); z = dropout(y, 0.5): values x, W, y, z.
Graph small_graph() {
  Graph graph;
  graph.values = {{"x", ValueKind::kInput, -1, false},
                  {"w", ValueKind::kParameter, 0, false},
                  {"linear", ValueKind::kIntermediate, -1, false},
                  {"relu", ValueKind::kIntermediate, -1, false},
                  {"dropout", ValueKind::kIntermediate, -1, false}};
  const auto node = [&](const char* target, std::vector<NamedArgument> arguments, ValueId result) {
    Node made;
    made.target = target;
    made.arguments = std::move(arguments);
    made.results = {{false, {result}}};
    graph.nodes.push_back(std::move(made));
  };
  node("aten::linear", {{"input", {0}}, {"weight", {1}}}, 2);
  node("aten::relu", {{"self", {2}}}, 3);
  node("aten::dropout",
       {{"input", {3}}, {"p", {c10::IValue(0.5)}}, {"train", {c10::IValue(false)}}}, 4);
  graph.inputs = {0};
  graph.outputs = {{4}};
  return graph;
}

std::vector<ModelTensor> tensors() {
  return {{"w", {}, ValueKind::kParameter, true, at::eye(4) * 2, -1}};
}

at::Tensor run(const Program& program, const at::Tensor& x, const RunMode& mode = {}) {
  return program.run({x}, mode).at(0).toTensor();
}

TEST(Program, RunsTheOperatorsInOrder) {
  const Program program(small_graph(), tensors());
  const at::Tensor x = at::randn({3, 4});
  EXPECT_TRUE(at::equal(run(program, x), at::relu(x * 2)));
}

TEST(Program, DropoutFollowsTheModeOfTheRunAndNotTheExport) {
  const Program program(small_graph(), tensors());
  const at::Tensor x = at::ones({64, 4});
  EXPECT_TRUE(at::equal(run(program, x), x * 2));
  const at::Tensor trained = run(program, x, {.training = true});
  EXPECT_GT((trained == 0).sum().item<std::int64_t>(), 0);
  EXPECT_GT((trained == 4).sum().item<std::int64_t>(), 0);
}

TEST(Program, GradientsReachTheParameters) {
  std::vector<ModelTensor> with_gradient = tensors();
  with_gradient[0].tensor.requires_grad_(true);
  const Program program(small_graph(), with_gradient);
  run(program, at::ones({1, 4})).sum().backward();
  EXPECT_TRUE(with_gradient[0].tensor.grad().defined());
}

TEST(Program, ReplacementRunsInPlaceOfItsNodes) {
  Replacement replacement;
  replacement.nodes = {0, 1};
  replacement.inputs = {0};
  replacement.outputs = {3};
  replacement.name = "layer";
  replacement.function = [](std::vector<c10::IValue> values, const RunMode&) {
    return std::vector<c10::IValue>{values[0].toTensor() + 1};
  };
  std::vector<Replacement> replacements;
  replacements.push_back(std::move(replacement));
  const Program program(small_graph(), tensors(), std::move(replacements));
  const at::Tensor x = at::randn({2, 4});
  EXPECT_TRUE(at::equal(run(program, x), x + 1));
  EXPECT_EQ(program.instruction_count(), 2U);
}

TEST(Program, EveryMissingOperatorIsListedAtLoad) {
  Graph graph = small_graph();
  graph.nodes[0].target = "acme::first";
  graph.nodes[1].target = "acme::second";
  const std::string text = error_text([&] { const Program program(graph, tensors()); });
  EXPECT_THAT(text, HasSubstr("acme::first"));
  EXPECT_THAT(text, HasSubstr("acme::second"));
}

TEST(Program, ArgumentThatTheOperatorMissesIsNamedAtLoad) {
  Graph graph = small_graph();
  graph.nodes[1].arguments[0].name = "wrong";
  EXPECT_THAT(error_text([&] { const Program program(graph, tensors()); }),
              HasSubstr("the operator aten::relu got nothing for its argument `self`"));
}

TEST(Program, SeveralThreadsRunOneProgram) {
  const Program program(small_graph(), tensors());
  std::vector<int> equal(4);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 50; ++i) {
          const at::Tensor x = at::full({2, 4}, t + 1.0);
          equal[static_cast<std::size_t>(t)] += at::equal(run(program, x), x * 2) ? 1 : 0;
        }
      });
    }
  }
  EXPECT_THAT(equal, ::testing::Each(50));
}

}  // namespace
}  // namespace tenon
