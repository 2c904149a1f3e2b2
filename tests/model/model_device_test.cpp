#include "model/model_device.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "interpreter/interpreter.h"

namespace tenon {
namespace {

const c10::Device kGpu(c10::kCUDA, 1);

Node zeros_on_gpu(ValueId result) {
  Node node;
  node.target = "aten::zeros";
  node.arguments = {{"size", {c10::IValue(std::vector<std::int64_t>{2})}},
                    {"device", {c10::IValue(kGpu)}}};
  node.results = {{false, {result}}};
  return node;
}

TEST(MoveToDevice, AProgramExportedOnAGpuRunsOnTheCpu) {
  ModelData model;
  Graph& graph = model.graph;
  graph.values.resize(1);
  graph.nodes = {zeros_on_gpu(0)};
  graph.outputs = {{0}};
  move_to_device(model, c10::kCPU);
  const Program program(graph, {});
  EXPECT_TRUE(at::equal(program.run({}, {}).at(0).toTensor(), at::zeros({2})));
}

TEST(MoveToDevice, ReachesListsNestedGraphsAndAutocast) {
  auto nested = std::make_shared<Graph>();
  nested->nodes = {zeros_on_gpu(0)};
  ModelData model;
  Graph& graph = model.graph;
  Node node;
  node.arguments = {{"", {nested}}, {"", {Argument::List{{{c10::IValue(kGpu)}}}}}};
  graph.nodes = {node};
  graph.contexts.push_back({0, AutocastSetting{c10::kCUDA, at::kHalf, true, true}});
  move_to_device(model, c10::kCPU);
  EXPECT_EQ(std::get<c10::IValue>(nested->nodes[0].arguments[1].value.value).toDevice(),
            c10::Device(c10::kCPU));
  const auto& list = std::get<Argument::List>(graph.nodes[0].arguments[1].value.value);
  EXPECT_EQ(std::get<c10::IValue>(list.items[0].value).toDevice(), c10::Device(c10::kCPU));
  EXPECT_EQ(std::get<AutocastSetting>(graph.contexts[1].setting).device, c10::kCPU);
}

// `torch::zeros({2})` of a captured model names no device and would make its tensor on the CPU.
TEST(MoveToDevice, TensorsThatTheGraphMakesWithoutNamingADeviceAreMadeThere) {
  ModelData model;
  model.graph.values.resize(2);
  Node named = zeros_on_gpu(0);
  named.arguments.pop_back();
  Node like = named;
  like.target = "aten::zeros_like";
  like.arguments = {{"self", {0}}};
  model.graph.nodes = {named, like};
  ModelTensor weight;
  weight.name = "weight";
  weight.tensor = at::ones({3});
  model.tensors = {weight};
  move_to_device(model, c10::kMeta);
  ASSERT_EQ(model.graph.nodes[0].arguments.size(), 2U);
  EXPECT_EQ(std::get<c10::IValue>(model.graph.nodes[0].arguments[1].value.value).toDevice(),
            c10::Device(c10::kMeta));
  EXPECT_EQ(model.graph.nodes[1].arguments.size(), 1U);
  EXPECT_TRUE(model.tensors[0].tensor.is_meta());
  EXPECT_EQ(model.device, c10::Device(c10::kMeta));
}

}  // namespace
}  // namespace tenon
