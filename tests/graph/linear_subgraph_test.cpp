#include "graph/linear_subgraph.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace tenon {
namespace {

struct Operator {
  const char* target;
  const char* overload;
  std::vector<NamedArgument> arguments;
};

// Values of every case: 0 x, 1 weight (4, 3), 2 bias (4), 3 matrix (2, 4), then one for each
// operator. All operators are those of the module `fc`.
ModelData linear_model_of(const std::vector<Operator>& operators) {
  ModelData model;
  model.tree.modules = {{"", "Model", true}, {"fc", "torch.nn.Linear", true}};
  model.tensors = {{"fc.weight", {}, ValueKind::kParameter, true, at::ones({4, 3}), -1},
                   {"fc.bias", {}, ValueKind::kParameter, true, at::ones({4}), -1},
                   {"fc.matrix", {}, ValueKind::kParameter, true, at::ones({2, 4}), -1}};
  Graph& graph = model.graph;
  graph.values = {{"x", ValueKind::kInput, -1, false},
                  {"weight", ValueKind::kParameter, 0, false},
                  {"bias", ValueKind::kParameter, 1, false},
                  {"matrix", ValueKind::kParameter, 2, false}};
  for (const Operator& each : operators) {
    Node node;
    node.target = each.target;
    node.overload = each.overload;
    node.arguments = each.arguments;
    node.results = {{false, {static_cast<ValueId>(graph.values.size())}}};
    node.module_stack = {0, 1};
    graph.values.emplace_back();
    graph.nodes.push_back(std::move(node));
  }
  graph.inputs = {0};
  graph.outputs = {{static_cast<ValueId>(graph.values.size() - 1)}};
  return model;
}

NamedArgument value(const char* name, ValueId id) { return {name, {id}}; }
template <typename T>
NamedArgument constant(const char* name, T number) {
  return {name, {c10::IValue(number)}};
}

struct Case {
  const char* name;
  std::vector<Operator> operators;
  bool is_linear;
};
void PrintTo(const Case& test_case, std::ostream* out) { *out << test_case.name; }

class LinearSubgraph : public ::testing::TestWithParam<Case> {};

TEST_P(LinearSubgraph, IsRecognisedOnlyIfItComputesTheSame) {
  const ModelData model = linear_model_of(GetParam().operators);
  const Subgraph subgraph = SubgraphFinder(model).find(1).front();
  EXPECT_EQ(is_linear(model, subgraph), GetParam().is_linear);
  EXPECT_EQ(single_operator(model, subgraph) == "aten::linear", GetParam().is_linear);
}

std::vector<Case> cases() {
  const Operator t{"aten::t", "", {value("self", 1)}};
  const Operator numpy_t{"aten::numpy_T", "", {value("self", 1)}};
  const Operator transpose{
      "aten::transpose", "int", {value("self", 1), constant("dim0", 0), constant("dim1", 1)}};
  const Operator permute{
      "aten::permute", "", {value("self", 1), constant("dims", std::vector<std::int64_t>{1, 0})}};
  const Operator addmm{"aten::addmm", "", {value("self", 2), value("mat1", 0), value("mat2", 4)}};
  const Operator ones{"aten::addmm",
                      "",
                      {value("self", 2), value("mat1", 0), value("mat2", 4), constant("beta", 1),
                       constant("alpha", 1.0)}};
  const Operator scaled{
      "aten::addmm",
      "",
      {value("self", 2), value("mat1", 0), value("mat2", 4), constant("alpha", 0.5)}};
  const Operator plus_matrix{
      "aten::addmm", "", {value("self", 3), value("mat1", 0), value("mat2", 4)}};
  const Operator matmul{"aten::matmul", "", {value("self", 0), value("other", 4)}};
  const Operator mm{"aten::mm", "", {value("self", 0), value("mat2", 4)}};
  const Operator turned{"aten::matmul", "", {value("self", 4), value("other", 0)}};
  const Operator add{"aten::add_", "Tensor", {value("self", 5), value("other", 2)}};
  const Operator twice{
      "aten::add_", "Tensor", {value("self", 5), value("other", 2), constant("alpha", 2)}};
  const Operator plus_input{"aten::add", "Tensor", {value("self", 5), value("other", 0)}};
  const Operator relu{"aten::relu", "", {value("self", 5)}};
  return {{"TAddmm", {t, addmm}, true},
          {"TransposeAddmm", {transpose, ones}, true},
          {"PermuteMm", {permute, mm}, true},
          {"TMatmul", {t, matmul}, true},
          {"TMatmulAdd", {t, matmul, add}, true},
          {"NumpyTMatmulAdd", {numpy_t, matmul, add}, true},
          {"TAddmmScaled", {t, scaled}, false},
          {"TAddmmPlusMatrix", {t, plus_matrix}, false},
          {"TMatmulTurned", {t, turned}, false},
          {"TMatmulAddTwice", {t, matmul, twice}, false},
          {"TMatmulPlusInput", {t, matmul, plus_input}, false},
          {"TAddmmRelu", {t, addmm, relu}, false},
          {"TAlone", {t}, false}};
}

INSTANTIATE_TEST_SUITE_P(All, LinearSubgraph, ::testing::ValuesIn(cases()),
                         [](const auto& each) { return each.param.name; });

TEST(LinearSubgraphTest, WhoseProductIsReadOutsideIsNone) {
  ModelData model =
      linear_model_of({{"aten::t", "", {value("self", 1)}},
                       {"aten::matmul", "", {value("self", 0), value("other", 4)}},
                       {"aten::add", "Tensor", {value("self", 5), value("other", 2)}}});
  model.graph.outputs.push_back({5});
  EXPECT_FALSE(is_linear(model, SubgraphFinder(model).find(1).front()));
}

}  // namespace
}  // namespace tenon
