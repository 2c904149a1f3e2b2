#include "plan/merge_notes.h"

#include "support/error_matchers.h"
#include "support/graph_edits.h"
#include "support/lora_model.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using testing::insert_operator;
using testing::lora;
using testing::node_of;
using testing::result_of;
using testing::small_mlp;

std::vector<std::string> notes(const ModelData& model, const AdapterConfig& config) {
  return merge_notes(model, plan_injection(model, config, testing::built_in_plugins()));
}

// seq.0 and seq.2 without a bias.
ModelData without_biases() {
  ModelData model = small_mlp();
  for (const char* path : {"seq.0", "seq.2"}) {
    std::erase_if(node_of(model, path).arguments,
                  [](const NamedArgument& argument) { return argument.name == "bias"; });
  }
  return model;
}

TEST(MergeNotes, WhatMergesNeedsNoWord) {
  AdapterConfig config = lora("a", {"seq.0", "seq.2"});
  EXPECT_THAT(notes(small_mlp(), config), ::testing::IsEmpty());
  config.method_keys["lora_bias"] = true;
  EXPECT_THAT(notes(small_mlp(), config), ::testing::IsEmpty());
}

TEST(MergeNotes, EachReasonIsToldOnce) {
  AdapterConfig config = lora("a", {"seq.0", "seq.2"});
  config.method_keys["lora_bias"] = true;
  EXPECT_THAT(notes(without_biases(), config),
              ElementsAre("the adapter on `seq.0` (and `seq.2`) cannot be merged: the update has a "
                          "bias (lora_bias), and the base adds none of its own"));
}

TEST(MergeNotes, MergingIsRefusedWithTheSameReason) {
  AdapterConfig config = lora("a", {"seq.0"});
  config.method_keys["lora_bias"] = true;
  AdaptedModel model(without_biases());
  model.add_adapter(plan_injection(model.model(), config, testing::built_in_plugins()), 0);
  EXPECT_THAT(error_text([&] { model.merge({"a"}); }),
              HasSubstr("`seq.0` cannot be merged: the update has a bias (lora_bias), and the base "
                        "adds none of its own"));
}

TEST(MergeNotes, LayerOfAClassThatDoesMoreIsNotMerged) {
  ModelData model = small_mlp();
  model.tree.modules[static_cast<std::size_t>(model.tree.find("seq.0"))].type = "acme.HalfLinear";
  insert_operator(model, "seq.0", "aten::mul", result_of(node_of(model, "seq.0")),
                  {{"other", {c10::IValue(0.5)}}});
  EXPECT_THAT(notes(model, lora("a", {"seq.0"})),
              ElementsAre("the adapter on `seq.0` cannot be merged: the class acme.HalfLinear does "
                          "more than a torch.nn.Linear, whose own output is added to its output"));
}

TEST(MergeNotes, WeightThatOthersReadByNoOtherNameIsTold) {
  ModelData model = small_mlp();
  // seq.4 adds what it makes of seq.2's weight.
  const ValueId weight = testing::value_of(model, "seq.2.weight");
  Node sum = node_of(model, "seq.4");
  sum.target = "aten::sum";
  sum.arguments = {{"self", {weight}}};
  const auto made = static_cast<ValueId>(model.graph.values.size());
  model.graph.values.push_back({"sum"});
  sum.results = {{false, {made}}};
  model.graph.nodes.push_back(sum);
  model.graph.outputs.push_back({made});
  EXPECT_THAT(notes(model, lora("a", {"seq.2"})),
              ElementsAre("the adapter on `seq.2` cannot be merged: its weight is read outside the "
                          "adapted layers too, by no name of its own"));
  EXPECT_THAT(notes(model, lora("a", {"seq.0"})), ::testing::IsEmpty());
}

}  // namespace
}  // namespace tenon
