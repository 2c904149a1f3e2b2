#include "model/gradient_ends.h"

#include "support/graph_edits.h"
#include "support/lora_model.h"

namespace tenon {
namespace {

using testing::calls_of;
using testing::insert_operator;
using testing::node_of;
using testing::result_of;
using testing::small_mlp;

std::string end_of(const ModelData& model, const char* path) {
  return GradientEnds(model).end_of(calls_of(model, path));
}

// seq.1 runs one more operator, on its ReLU's result.
ModelData with_operator(const char* target, std::vector<NamedArgument> arguments = {}) {
  ModelData model = small_mlp();
  insert_operator(model, "seq.1", target, result_of(node_of(model, "seq.1")), std::move(arguments));
  return model;
}

TEST(GradientEnds, GradientsComeBackThroughSmoothOperators) {
  const ModelData model = small_mlp();
  for (const char* path : {"seq.0", "seq.2", "seq.4"}) {
    EXPECT_EQ(end_of(model, path), "");
    EXPECT_TRUE(GradientEnds(model).influences(calls_of(model, path)));
  }
  const std::vector<NamedArgument> to_half = {{"dtype", {c10::IValue(5)}}};
  EXPECT_EQ(end_of(with_operator("aten::to", to_half), "seq.0"), "");
}

TEST(GradientEnds, FirstOperatorInTheWayIsNamed) {
  EXPECT_EQ(end_of(with_operator("aten::gt"), "seq.0"), "aten::gt in `seq.1`, a comparison");
  EXPECT_EQ(end_of(with_operator("aten::round"), "seq.0"), "aten::round in `seq.1`, which rounds");
  EXPECT_EQ(end_of(with_operator("aten::floor_"), "seq.0"),
            "aten::floor_ in `seq.1`, which rounds");
  EXPECT_EQ(end_of(with_operator("aten::detach"), "seq.0"),
            "aten::detach in `seq.1`, which cuts it off");
  const std::vector<NamedArgument> to_long = {{"dtype", {c10::IValue(4)}}};
  EXPECT_EQ(end_of(with_operator("aten::to", to_long), "seq.0"),
            "aten::to in `seq.1`, a cast to whole numbers");
  const std::vector<NamedArgument> floor = {{"rounding_mode", {c10::IValue("floor")}}};
  EXPECT_EQ(end_of(with_operator("aten::div", floor), "seq.0"),
            "aten::div in `seq.1`, which rounds");
  EXPECT_EQ(end_of(with_operator("aten::round"), "seq.2"), "") << "it stands behind it";
}

TEST(GradientEnds, LostFunctionsAreSaidToBeOne) {
  ModelData model = with_operator("aten::gt");
  std::ranges::find(model.graph.nodes, "aten::gt", &Node::target)->in_function = true;
  EXPECT_EQ(end_of(model, "seq.0"),
            "aten::gt in `seq.1`, a comparison, in a torch.autograd.Function whose backward the "
            "export lost");
}

TEST(GradientEnds, CodeWithoutGradientsEndsThem) {
  ModelData model = small_mlp();
  model.graph.contexts.push_back({0, GradientSetting{false}});
  node_of(model, "seq.1").context = 1;
  EXPECT_EQ(end_of(model, "seq.0"),
            "aten::relu in `seq.1`, which the model's code runs without gradients (torch.no_grad)");
}

TEST(GradientEnds, WhatTheOutputDoesNotDependOnHasNoEnd) {
  ModelData model = with_operator("aten::zeros_like");
  EXPECT_EQ(end_of(model, "seq.0"), "");
  EXPECT_FALSE(GradientEnds(model).influences(calls_of(model, "seq.0")));
}

}  // namespace
}  // namespace tenon
