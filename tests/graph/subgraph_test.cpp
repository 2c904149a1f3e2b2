#include "graph/subgraph.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "interpreter/interpreter.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr ModuleId kRoot = 0;
constexpr ModuleId kBlock = 1;
constexpr ModuleId kFc = 2;
constexpr ModuleId kIdle = 3;

// block(x) = relu(fc(x)) * scale, called twice: block(block(x)); then + x. `block.fc` is a Linear.
//   values: 0 x, 1 weight, 2 scale, 3 linear, 4 relu, 5 mul, 6 linear, 7 relu, 8 mul, 9 add
ModelData block_called_twice() {
  ModelData model;
  model.tree.modules = {{"", "Model", true},
                        {"block", "acme.Block", true},
                        {"block.fc", "torch.nn.Linear", true},
                        {"idle", "", false}};
  model.tensors = {{"block.fc.weight", {}, ValueKind::kParameter, true, at::eye(3) * 2, -1},
                   {"block.scale", {}, ValueKind::kParameter, true, at::full({3}, 5.0), -1}};
  Graph& graph = model.graph;
  graph.values.resize(10);
  graph.values[0].kind = ValueKind::kInput;
  graph.values[1] = {"weight", ValueKind::kParameter, 0, false};
  graph.values[2] = {"scale", ValueKind::kParameter, 1, false};
  const auto node = [&](const char* target, const char* overload,
                        std::vector<NamedArgument> arguments, ValueId result,
                        std::vector<ModuleId> stack, std::int32_t call) {
    Node made;
    made.target = target;
    made.overload = overload;
    made.arguments = std::move(arguments);
    made.results = {{false, {result}}};
    made.module_stack = std::move(stack);
    made.call_index = call;
    graph.nodes.push_back(std::move(made));
  };
  for (const ValueId first : {3, 6}) {
    const ValueId input = first == 3 ? 0 : 5;
    const std::int32_t call = first == 3 ? 0 : 1;
    node("aten::linear", "", {{"input", {input}}, {"weight", {1}}}, first, {kRoot, kBlock, kFc},
         call);
    node("aten::relu", "", {{"self", {first}}}, first + 1, {kRoot, kBlock}, call);
    node("aten::mul", "Tensor", {{"self", {first + 1}}, {"other", {2}}}, first + 2, {kRoot, kBlock},
         call);
  }
  node("aten::add", "Tensor", {{"self", {8}}, {"other", {0}}}, 9, {kRoot}, 0);
  graph.inputs = {0};
  graph.outputs = {{9}};
  return model;
}

TEST(SubgraphFinderTest, ALeafCalledTwiceHasASubgraphForEachCall) {
  const ModelData model = block_called_twice();
  const std::vector<Subgraph> subgraphs = SubgraphFinder(model).find(kFc);
  ASSERT_EQ(subgraphs.size(), 2);
  EXPECT_THAT(subgraphs[0].nodes, ElementsAre(0));
  EXPECT_THAT(subgraphs[0].inputs, ElementsAre(0));
  EXPECT_THAT(subgraphs[0].outputs, ElementsAre(3));
  EXPECT_THAT(subgraphs[0].tensors, ElementsAre(0));
  EXPECT_THAT(subgraphs[1].nodes, ElementsAre(3));
  EXPECT_THAT(subgraphs[1].inputs, ElementsAre(5));
  EXPECT_EQ(single_operator(model, subgraphs[1]), "aten::linear");
}

TEST(SubgraphFinderTest, TheRootsSubgraphIsTheWholeGraphWithTheModelsInputAndOutput) {
  const ModelData model = block_called_twice();
  const std::vector<Subgraph> subgraphs = SubgraphFinder(model).find(kRoot);
  ASSERT_EQ(subgraphs.size(), 1);
  EXPECT_EQ(subgraphs[0].nodes.size(), model.graph.nodes.size());
  EXPECT_THAT(subgraphs[0].inputs, ElementsAre(0));
  EXPECT_THAT(subgraphs[0].outputs, ElementsAre(9));
  EXPECT_THAT(subgraphs[0].tensors, ElementsAre(0, 1));
  EXPECT_EQ(single_operator(model, subgraphs[0]), "");
}

TEST(SubgraphFinderTest, AModuleThatRunsNothingHasNoSubgraph) {
  const ModelData model = block_called_twice();
  const SubgraphFinder finder(model);
  EXPECT_THAT(finder.find(kIdle), IsEmpty());
  EXPECT_FALSE(finder.runs_nested(kIdle));
}

TEST(SubgraphFinderTest, AModuleThatRunsOnlyInANestedGraphIsTold) {
  ModelData model = block_called_twice();
  auto nested = std::make_shared<Graph>();
  nested->nodes.push_back(model.graph.nodes[0]);
  nested->nodes[0].module_stack = {kRoot, kIdle};
  Node node;
  node.target = "higher_order::wrap_with_set_grad_enabled";
  node.arguments = {{"", {c10::IValue(false)}}, {"", {nested}}};
  node.module_stack = {kRoot};
  model.graph.nodes.push_back(std::move(node));
  const SubgraphFinder finder(model);
  EXPECT_THAT(finder.find(kIdle), IsEmpty());
  EXPECT_TRUE(finder.runs_nested(kIdle));
}

TEST(SubgraphFinderTest, AValueThatTheModelWritesBackIsAnOutput) {
  ModelData model = block_called_twice();
  model.graph.mutations = {{2, 4}};
  const std::vector<Subgraph> subgraphs = SubgraphFinder(model).find(kBlock);
  ASSERT_FALSE(subgraphs.empty());
  EXPECT_THAT(subgraphs[0].outputs, ::testing::Contains(4));
}

TEST(SubgraphGraphTest, RunsAloneOnItsInputsAndThenItsTensors) {
  const ModelData model = block_called_twice();
  const Subgraph subgraph = SubgraphFinder(model).find(kFc)[1];
  const Program program(subgraph_program(model, subgraph), model.tensors);
  const at::Tensor x = at::randn({2, 3});
  const at::Tensor weight = at::randn({4, 3});
  EXPECT_TRUE(at::equal(program.run({x, weight}, {})[0].toTensor(), at::linear(x, weight)));
}

TEST(OperatorAttributesTest, AreTheConstantsOfTheOperatorThatUsesTheWeight) {
  ModelData model = block_called_twice();
  model.graph.nodes[2].target = "aten::add";
  model.graph.nodes[2].arguments.push_back({"alpha", {c10::IValue(3)}});
  Subgraph subgraph = SubgraphFinder(model).find(kBlock)[0];
  subgraph.nodes = {1, 2};  // relu reads no weight and has no say
  const auto attributes = operator_attributes(model, subgraph);
  ASSERT_TRUE(attributes.contains("alpha"));
  EXPECT_EQ(attributes.at("alpha").toInt(), 3);
}

}  // namespace
}  // namespace tenon
