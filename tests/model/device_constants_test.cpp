#include "model/device_constants.h"

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

TEST(FollowDevice, AProgramExportedOnAGpuRunsOnTheCpu) {
  Graph graph;
  graph.values.resize(1);
  graph.nodes = {zeros_on_gpu(0)};
  graph.outputs = {{0}};
  follow_device(graph, c10::kCPU);
  const Program program(graph, {});
  EXPECT_TRUE(at::equal(program.run({}, {}).at(0).toTensor(), at::zeros({2})));
}

TEST(FollowDevice, ReachesListsNestedGraphsAndAutocast) {
  auto nested = std::make_shared<Graph>();
  nested->nodes = {zeros_on_gpu(0)};
  Graph graph;
  Node node;
  node.arguments = {{"", {nested}}, {"", {Argument::List{{{c10::IValue(kGpu)}}}}}};
  graph.nodes = {node};
  graph.contexts.push_back({0, AutocastSetting{c10::kCUDA, at::kHalf, true, true}});
  follow_device(graph, c10::kCPU);
  EXPECT_EQ(std::get<c10::IValue>(nested->nodes[0].arguments[1].value.value).toDevice(),
            c10::Device(c10::kCPU));
  const auto& list = std::get<Argument::List>(graph.nodes[0].arguments[1].value.value);
  EXPECT_EQ(std::get<c10::IValue>(list.items[0].value).toDevice(), c10::Device(c10::kCPU));
  EXPECT_EQ(std::get<AutocastSetting>(graph.contexts[1].setting).device, c10::kCPU);
}

}  // namespace
}  // namespace tenon
