#include "plan/layer_planner.h"

#include <ATen/ops/ones.h>

#include <algorithm>

#include "support/adapter_keys.h"
#include "support/error_matchers.h"
#include "support/lora_model.h"

namespace tenon {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::lora;
using testing::small_mlp;

InjectionPlan plan(const ModelData& model, const AdapterConfig& config) {
  return plan_injection(model, config, testing::built_in_plugins());
}

std::string refusal(const ModelData& model, const AdapterConfig& config) {
  return error_text([&] { plan(model, config); });
}

AdapterConfig parameters(std::vector<std::string> names) {
  AdapterConfig config = lora("a", {});
  config.target_modules = ModuleRule();
  config.target_parameters = std::move(names);
  return config;
}

Module& module_at(ModelData& model, const char* path) {
  return model.tree.modules[static_cast<std::size_t>(model.tree.find(path))];
}

// The operators of the module's own.
std::vector<Node*> nodes_of(ModelData& model, const char* path) {
  std::vector<Node*> nodes;
  for (Node& node : model.graph.nodes) {
    if (node.module_stack.back() == model.tree.find(path)) nodes.push_back(&node);
  }
  return nodes;
}

TEST(LayerPlanner, LayerIsPlannedWithItsWeightsAndItsParameters) {
  const InjectionPlan planned = plan(small_mlp(), lora("a", {"seq.2"}));
  ASSERT_EQ(planned.layers.size(), 1U);
  const PlannedLayer& layer = planned.layers.front();
  EXPECT_EQ(layer.layer_type->id(), "tenon.lora-linear");
  EXPECT_EQ(layer.facts->description().operator_name, "aten::linear");
  EXPECT_EQ(layer.tensors.size(), 2U) << "weight and bias";
  EXPECT_EQ(layer.subgraphs.size(), 1U) << "it is called once";
  ASSERT_EQ(layer.parameters.size(), 2U);
  EXPECT_EQ(layer.parameters[0].name, "lora_A.weight");
  EXPECT_THAT(layer.parameters[0].shape, ElementsAre(2, 8));
  EXPECT_THAT(layer.parameters[1].shape, ElementsAre(8, 2));
  EXPECT_EQ(layer.scaling, 2);
  EXPECT_THAT(planned.notes, IsEmpty());
}

TEST(LayerPlanner, SubclassThatIsStillTheLayerIsAdaptedAndSaidSo) {
  ModelData model = small_mlp();
  module_at(model, "seq.0").type = "acme.Fancy";
  const InjectionPlan planned = plan(model, lora("a", {"seq.0"}));
  EXPECT_EQ(planned.layers.front().facts->description().type, "acme.Fancy");
  EXPECT_THAT(planned.notes,
              Contains(std::string("acme.Fancy runs aten::linear on its own weight and nothing "
                                   "else; it is adapted as torch.nn.Linear")));
}

// seq.0's operator without its bias, which nobody adds.
ModelData without_bias() {
  ModelData model = small_mlp();
  std::erase_if(nodes_of(model, "seq.0").front()->arguments,
                [](const NamedArgument& argument) { return argument.name == "bias"; });
  return model;
}

TEST(LayerPlanner, BiasThatNoOperatorOfTheLayerReadsIsNoneOfItsWeights) {
  const InjectionPlan planned = plan(without_bias(), lora("a", {"seq.0"}));
  const PlannedLayer& layer = planned.layers.front();
  EXPECT_EQ(layer.facts->description().operator_name, "aten::linear");
  ASSERT_EQ(layer.tensors.size(), 1U);
  EXPECT_EQ(layer.facts->description().weights[0].name, "weight");
}

TEST(LayerPlanner, OperatorThatReadsAnotherBiasIsNotThatOfTheLayerKind) {
  ModelData model = small_mlp();
  std::ranges::find(model.tensors, "seq.0.bias", &ModelTensor::name)->name = "seq.0.shift";
  const InjectionPlan planned = plan(model, lora("a", {"seq.0"}));
  EXPECT_EQ(planned.layers.front().facts->description().operator_name, "")
      << "a plugin that runs the operator by itself would leave the shift out";
}

TEST(LayerPlanner, CallsThatReadDifferentWeightsAreDifferent) {
  ModelData model = small_mlp();
  ModelData bare = without_bias();
  Node again = *nodes_of(bare, "seq.0").front();
  again.call_index = 1;
  again.arguments[0].value = {model.graph.inputs.front()};
  again.results = {{false, {static_cast<ValueId>(model.graph.values.size())}}};
  model.graph.values.push_back({"again"});
  model.graph.outputs.push_back({again.results[0].values[0]});
  model.graph.nodes.push_back(again);
  EXPECT_THAT(refusal(model, lora("a", {"seq.0"})), HasSubstr("is called in different ways"));
}

TEST(LayerPlanner, LayersThatAreRefusedForOneReasonAreNamedTogether) {
  ModelData model = small_mlp();
  for (const char* path : {"seq.0", "seq.2"}) {
    module_at(model, path).type = "acme.Odd";
    nodes_of(model, path).front()->target = "aten::odd";
  }
  EXPECT_THAT(refusal(model, lora("a", {"seq.0", "seq.2"})),
              HasSubstr("acme.Odd at `seq.0` (and `seq.2`) is not supported by method lora"));
}

TEST(LayerPlanner, EmbeddingThatScalesWhatItLooksUpIsAdaptedAndSaidSo) {
  const InjectionPlan planned = plan(testing::scaled_model("acme.Scaled"), lora("a", {"words"}));
  const PlannedLayer& layer = planned.layers.front();
  EXPECT_EQ(layer.layer_type->id(), "tenon.lora-embedding");
  EXPECT_EQ(layer.facts->description().operator_name, "") << "it is more than one operator";
  EXPECT_THAT(layer.parameters[0].shape, ElementsAre(2, 7));
  EXPECT_THAT(planned.notes,
              Contains(std::string("acme.Scaled looks rows of its own weight up and scales them; "
                                   "it is adapted as torch.nn.Embedding")));
  EXPECT_THAT(refusal(testing::scaled_model("acme.Scaled", 4.0), lora("a", {"words"})),
              HasSubstr("acme.Scaled at `words` is not supported by method lora"));
}

TEST(LayerPlanner, EveryLayerThatCannotBeAdaptedIsNamedAtOnce) {
  ModelData model = small_mlp();
  module_at(model, "seq.4").type = "acme.Odd";
  nodes_of(model, "seq.4").front()->target = "aten::odd";
  const std::string text = refusal(model, lora("a", {"seq.1", "seq.2", "seq.4"}));
  EXPECT_THAT(text, HasSubstr("torch.nn.ReLU at `seq.1` is not supported by method lora"));
  EXPECT_THAT(text, HasSubstr("acme.Odd at `seq.4` is not supported by method lora"));
}

TEST(LayerPlanner, LayerWhoseResultNobodyUsesIsRefused) {
  ModelData model = small_mlp();
  // The ReLU reads the model's input in place of seq.0's result; both are of any size to a graph.
  nodes_of(model, "seq.1").front()->arguments.front().value = {model.graph.inputs.front()};
  EXPECT_THAT(
      refusal(model, lora("a", {"seq.0"})),
      AllOf(HasSubstr("torch.nn.Linear at `seq.0` has no operator that the program's outputs "
                      "depend on: its result is unused, or the export left it out; an "
                      "adapter on it would do nothing"),
            HasSubstr("exclude_modules = [\"seq.0\"]")));
}

TEST(LayerPlanner, LayerThatRunsWithoutGradientsIsRefused) {
  ModelData model = small_mlp();
  model.graph.contexts.push_back({0, GradientSetting{false}});
  for (Node* node : nodes_of(model, "seq.0")) node->context = 1;
  EXPECT_THAT(refusal(model, lora("a", {"seq.0"})),
              HasSubstr("runs only where the model switches gradients off, so it cannot be "
                        "trained"));
}

TEST(LayerPlanner, LayerThatComputesItsWeightIsRefused) {
  ModelData model = small_mlp();
  module_at(model, "seq.0").type = "acme.Normed";
  std::ranges::find(model.tensors, "seq.0.weight", &ModelTensor::name)->name = "seq.0.weight_orig";
  EXPECT_THAT(refusal(model, lora("a", {"seq.0"})),
              HasSubstr("acme.Normed at `seq.0` computes its `weight` in forward"));
}

TEST(LayerPlanner, ParameterThatForwardNeverReadsIsRefused) {
  ModelData model = small_mlp();
  model.tensors.push_back({"seq.0.spare", {}, ValueKind::kParameter, true, at::ones({3, 3})});
  EXPECT_THAT(refusal(model, parameters({"seq.0.spare"})),
              HasSubstr("torch.nn.Linear at `seq.0` has a parameter `spare` that its own forward "
                        "never uses"));
}

// seq.0 with a second matrix, which its operator reads in place of the bias.
ModelData model_of_two_matrices() {
  ModelData model = small_mlp();
  ModelTensor& bias = *std::ranges::find(model.tensors, "seq.0.bias", &ModelTensor::name);
  bias.name = "seq.0.other";
  bias.tensor = at::ones({8, 6});
  return model;
}

TEST(LayerPlanner, EachParameterOfAModuleHasItsOwnRank) {
  AdapterConfig config = parameters({"seq.0.weight", "seq.0.other"});
  config.method_keys["rank_pattern"] = testing::patterns({{"seq.0.other", 3}});
  config.method_keys["alpha_pattern"] = testing::patterns({{"seq.0.other", 9}});
  config.method_keys["init_lora_weights"] = std::string("gaussian");
  const InjectionPlan planned = plan(model_of_two_matrices(), config);
  const PlannedLayer& layer = planned.layers.front();
  EXPECT_EQ(layer.scaling, 2) << "that of the first";
  ASSERT_EQ(layer.parameters.size(), 4U);
  EXPECT_THAT(layer.parameters[0].shape, ElementsAre(2, 6));
  EXPECT_EQ(layer.parameters[0].init_b, 1.0 / 2) << "a gaussian start is as wide as 1 / r";
  EXPECT_THAT(layer.parameters[2].shape, ElementsAre(3, 6));
  EXPECT_EQ(layer.parameters[2].init_b, 1.0 / 3);
  EXPECT_THAT(layer.parameters[3].shape, ElementsAre(8, 3));
}

TEST(LayerPlanner, FirstOfSeveralParametersMustNotHaveAlphaZero) {
  AdapterConfig config = parameters({"seq.0.weight", "seq.0.other"});
  config.is_saved = true;  // a config of one's own cannot have it
  config.method_keys["lora_alpha"] = std::int64_t{0};
  config.method_keys["alpha_pattern"] = testing::patterns({{"other", 9}});
  EXPECT_THAT(refusal(model_of_two_matrices(), config),
              HasSubstr("`other` has a lora_alpha, and the first of the parameters"));
  config.method_keys.erase("alpha_pattern");
  EXPECT_NO_THROW(plan(model_of_two_matrices(), config));
}

// An LSTM's own plugin, which made the layer as a whole, gives all weights one rank.
TEST(LayerPlanner, LayerTypeThatKnowsOneRankIsRefusedAnother) {
  ModelConfig declared;
  declared.layers = {{"lstm", "LSTM", {{"input_size", 6}, {"hidden_size", 4}}, "test"}};
  const ModelData model = build_declared_model(declared);
  RecordedLayer saved;
  saved.name = "lstm";
  saved.type = "torch.nn.LSTM";
  saved.plugin = "tenon.lora-lstm";
  saved.version = "0.1.0";
  AdapterConfig config = parameters({"lstm.weight_ih_l0", "lstm.weight_hh_l0"});
  const auto plan_saved = [&] {
    plan_injection(model, config, testing::built_in_plugins(), {saved});
  };
  EXPECT_NO_THROW(plan_saved());
  config.method_keys["rank_pattern"] = testing::patterns({{"weight_hh_l0", 7}});
  EXPECT_THAT(error_text(plan_saved),
              HasSubstr("torch.nn.LSTM at `lstm` would get another r for "
                        "`weight_hh_l0` than for its other parameters, which tenon.lora-lstm "
                        "does not have; give them the same in rank_pattern"));
}

TEST(LayerPlanner, SavedLayerOfAnotherTypeIsNotTakenForThisOne) {
  RecordedLayer saved;
  saved.name = "seq.0";
  saved.type = "torch.nn.Bilinear";
  EXPECT_THAT(error_text([&] {
                plan_injection(small_mlp(), lora("a", {"seq.0"}), testing::built_in_plugins(),
                               {saved});
              }),
              HasSubstr("was of type torch.nn.Bilinear when the adapter was saved"));
}

}  // namespace
}  // namespace tenon
