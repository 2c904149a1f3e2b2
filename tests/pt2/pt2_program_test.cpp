#include "pt2/pt2_program.h"

#include <ATen/ATen.h>

#include <string>
#include <utility>
#include <vector>

#include "support/error_matchers.h"
#include "support/test_data.h"

// Reads the programs that tests/data/make_pt2.py exported.
namespace tenon {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::test_data;

const ModelTensor& tensor_named(const ModelData& model, std::string_view name) {
  for (const ModelTensor& tensor : model.tensors) {
    if (tensor.name == name) return tensor;
  }
  throw std::runtime_error("no tensor " + std::string(name));
}

at::Tensor ramp(std::int64_t count, at::IntArrayRef shape) {
  return (at::arange(count, at::kFloat) / 8).reshape(shape);
}

std::vector<std::string> paths(const ModelData& model) {
  std::vector<std::string> result;
  for (const Module& module : model.tree.modules) result.push_back(module.path);
  return result;
}

// "block.0#1 aten::linear" for each node: innermost module, call, operator.
std::vector<std::string> places(const ModelData& model, std::string_view target) {
  std::vector<std::string> result;
  for (const Node& node : model.graph.nodes) {
    if (node.target != target || node.module_stack.empty()) continue;
    const auto id = static_cast<std::size_t>(node.module_stack.back());
    result.push_back(model.tree.modules[id].path + "#" + std::to_string(node.call_index));
  }
  return result;
}

const Node& node_named(const Graph& graph, std::string_view target) {
  for (const Node& node : graph.nodes) {
    if (node.target == target) return node;
  }
  throw std::runtime_error("no node " + std::string(target));
}

const std::string& name_of(const Graph& graph, ValueId value) {
  return graph.values.at(static_cast<std::size_t>(value)).name;
}

TEST(Pt2Program, AnMlpHasItsModulesWeightsNodesAndInput) {
  const ModelData model = read_pt2_program(test_data("mlp.pt2"));
  EXPECT_THAT(paths(model), ElementsAre("", "seq", "seq.0", "seq.1", "seq.2"));
  EXPECT_EQ(model.tree.modules[0].type, "__main__.Mlp");
  EXPECT_EQ(model.tree.modules[2].type, "torch.nn.Linear");
  ASSERT_EQ(model.tensors.size(), 4U);
  EXPECT_EQ(model.tensors[0].name, "seq.0.weight");
  EXPECT_TRUE(at::equal(model.tensors[0].tensor, ramp(12, {3, 4})));
  EXPECT_FALSE(model.tensors[0].tensor.requires_grad());
  EXPECT_EQ(model.tensors[0].crc32, 1969238383);

  ASSERT_EQ(model.graph.nodes.size(), 3U);
  const Node& linear = model.graph.nodes[0];
  EXPECT_EQ(linear.target, "aten::linear");
  EXPECT_EQ(linear.overload, "");
  EXPECT_THAT(linear.module_stack, ElementsAre(0, 1, 2));
  EXPECT_EQ(linear.arguments[1].name, "weight");
  const Value& weight = model.graph.values.at(
      static_cast<std::size_t>(std::get<ValueId>(linear.arguments[1].value.value)));
  EXPECT_EQ(weight.kind, ValueKind::kParameter);
  EXPECT_EQ(weight.tensor, 0);

  ASSERT_EQ(model.inputs.size(), 1U);
  const InputSpec& input = model.inputs[0];
  EXPECT_EQ(input.name, "x");
  EXPECT_EQ(input.argument_name, "X");
  EXPECT_TRUE(input.checked);
  ASSERT_EQ(input.dimensions.size(), 2U);
  EXPECT_EQ(input.dimensions[0].fixed, -1);
  EXPECT_NE(input.dimensions[0].symbol, "");
  EXPECT_EQ(input.dimensions[0].minimum, 0);
  EXPECT_EQ(input.dimensions[0].maximum, 64);
  EXPECT_EQ(input.dimensions[1].fixed, 4);
}

TEST(Pt2Program, WeightsAliasTheFileWithoutWritingToIt) {
  {
    const ModelData model = read_pt2_program(test_data("mlp.pt2"));
    model.tensors[0].tensor.zero_();
  }
  const ModelData again = read_pt2_program(test_data("mlp.pt2"));
  EXPECT_TRUE(at::equal(again.tensors[0].tensor, ramp(12, {3, 4})));
}

TEST(Pt2Program, TensorsOutliveTheModelThatReadThem) {
  at::Tensor weight;
  {
    ModelData model = read_pt2_program(test_data("mlp.pt2"));
    weight = model.tensors[2].tensor;
  }
  EXPECT_TRUE(at::equal(weight, ramp(6, {2, 3})));
}

TEST(Pt2Program, StridesAndOffsetsAreKept) {
  const ModelData model = read_pt2_program(test_data("shared.pt2"));
  const ModelTensor& turned = tensor_named(model, "turned");
  EXPECT_TRUE(at::equal(turned.tensor, at::arange(24, at::kFloat).reshape({6, 4}).t()));
  EXPECT_EQ(turned.tensor.stride(0), 1);
  EXPECT_EQ(turned.crc32, -1);
  const ModelTensor& offset = tensor_named(model, "offset");
  EXPECT_TRUE(at::equal(offset.tensor, at::arange(10, 14, at::kFloat)));
  EXPECT_EQ(offset.tensor.storage_offset(), 10);
  EXPECT_EQ(offset.crc32, -1);
}

TEST(Pt2Program, TiedWeightsAreOneTensorWithAliases) {
  const ModelData model = read_pt2_program(test_data("shared.pt2"));
  EXPECT_THAT(tensor_named(model, "twice.weight").aliases, ElementsAre("tied.weight"));
  EXPECT_THAT(tensor_named(model, "block.0.weight").aliases, ElementsAre("again.0.weight"));
  EXPECT_THAT(tensor_named(model, "twice.bias").aliases, IsEmpty());
}

TEST(Pt2Program, BuffersAndConstantsKeepTheirKind) {
  const ModelData model = read_pt2_program(test_data("shared.pt2"));
  EXPECT_EQ(tensor_named(model, "steps").kind, ValueKind::kBuffer);
  EXPECT_TRUE(tensor_named(model, "steps").persistent);
  EXPECT_EQ(tensor_named(model, "mask").kind, ValueKind::kBuffer);
  EXPECT_FALSE(tensor_named(model, "mask").persistent);
  EXPECT_EQ(tensor_named(model, "constant").kind, ValueKind::kConstant);
}

TEST(Pt2Program, CallsOfOneModuleAreNumberedUnderItsFirstName) {
  const ModelData model = read_pt2_program(test_data("shared.pt2"));
  EXPECT_THAT(paths(model),
              ElementsAre("", "block", "block.0", "block.1", "twice", "tied", "unused"));
  EXPECT_FALSE(model.tree.modules[6].runs);
  EXPECT_THAT(places(model, "aten::linear"),
              ElementsAre("block.0#0", "block.0#1", "twice#0", "twice#1", "tied#0", "block.0#2"));
}

TEST(Pt2Program, NodesUnderAGradientModeJoinTheGraphWithTheirContext) {
  const ModelData model = read_pt2_program(test_data("shared.pt2"));
  const Node& node = node_named(model.graph, "aten::sigmoid");
  EXPECT_THAT(node.module_stack, ElementsAre(0));
  EXPECT_EQ(name_of(model.graph, std::get<ValueId>(node.arguments[0].value.value)), "b_mask");
  const Context& context = model.graph.contexts.at(static_cast<std::size_t>(node.context));
  EXPECT_FALSE(std::get<GradientSetting>(context.setting).enabled);
  EXPECT_EQ(context.outer, 0);
  EXPECT_EQ(node_named(model.graph, "aten::linear").context, 0);
}

TEST(Pt2Program, ArgumentsAndResultsOfEveryShapeAreRead) {
  const ModelData model = read_pt2_program(test_data("shared.pt2"));
  const Graph& graph = model.graph;
  const Node& split = node_named(graph, "aten::split_with_sizes");
  EXPECT_THAT(std::get<c10::IValue>(split.arguments[1].value.value).toIntVector(),
              ElementsAre(2, 4));
  ASSERT_EQ(split.results.size(), 1U);
  EXPECT_TRUE(split.results[0].is_list);
  EXPECT_EQ(split.results[0].values.size(), 2U);

  const Node& index = node_named(graph, "aten::index");
  EXPECT_EQ(index.overload, "Tensor");
  const auto& indices = std::get<Argument::List>(index.arguments[1].value.value).items;
  ASSERT_EQ(indices.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<Argument::None>(indices[0].value));
  EXPECT_TRUE(std::holds_alternative<ValueId>(indices[1].value));

  const Node& fill = node_named(graph, "aten::masked_fill");
  EXPECT_EQ(std::get<c10::IValue>(fill.arguments[2].value.value).toDouble(),
            std::numeric_limits<double>::infinity());

  const Node& product = node_named(graph, "_operator.mul");
  EXPECT_TRUE(graph.values[static_cast<std::size_t>(product.results[0].values[0])].is_number);
  const Node& reshape = node_named(graph, "aten::reshape");
  EXPECT_EQ(std::get<Argument::List>(reshape.arguments[1].value.value).items.size(), 2U);
}

TEST(Pt2Program, FixedInputsAreNotFedAndNoneIsAnOutput) {
  const ModelData model = read_pt2_program(test_data("shared.pt2"));
  ASSERT_EQ(model.inputs.size(), 2U);
  EXPECT_EQ(model.inputs[0].argument_name, "x");
  EXPECT_EQ(model.inputs[1].name, "extra_bias");
  EXPECT_EQ(model.inputs[1].argument_name, "");
  EXPECT_EQ(model.graph.inputs.size(), 2U);
  ASSERT_EQ(model.graph.outputs.size(), 4U);
  EXPECT_TRUE(std::holds_alternative<Argument::None>(model.graph.outputs[2].value));
  EXPECT_EQ(name_of(model.graph, std::get<ValueId>(model.graph.outputs[3].value)),
            "sym_size_int_1");
}

}  // namespace
}  // namespace tenon
