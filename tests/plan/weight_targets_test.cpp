#include "plan/weight_targets.h"

#include <ATen/ops/ones.h>

#include "support/adapter_keys.h"
#include "support/error_matchers.h"
#include "support/lora_model.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::lora;
using testing::small_mlp;

ModelData small_model_with_tied_head() {
  ModelData model = small_mlp();
  model.tensors.front().aliases = {"seq.4.weight"};
  model.tensors.push_back({"seq.0.seen", {}, ValueKind::kBuffer, true, at::ones({2})});
  return model;
}

LayerFacts recurrent_layer() {
  LayerFacts::Description facts;
  facts.weights = {{"weight_ih_l0", {12, 4}}, {"weight_hh_l0", {12, 3}}, {"weight_hr_l0", {2, 3}}};
  return LayerFacts(std::move(facts));
}

std::vector<ParameterSpec> specs_named(const std::vector<std::string>& names) {
  std::vector<ParameterSpec> specs;
  for (const std::string& name : names) specs.emplace_back().name = name;
  return specs;
}

std::vector<std::string> file_names(const std::vector<ParameterSpec>& specs) {
  std::vector<std::string> names;
  names.reserve(specs.size());
  for (const ParameterSpec& spec : specs) names.push_back(spec.file_name);
  return names;
}

TEST(WeightTargets, ParameterNamesAreThoseOfParametersAndTheirAliases) {
  EXPECT_THAT(parameter_names(small_model_with_tied_head()),
              ElementsAre("seq.0.weight", "seq.4.weight", "seq.0.bias", "seq.2.weight",
                          "seq.2.bias", "seq.4.weight", "seq.4.bias"));
}

TEST(WeightTargets, ParametersAreGroupedByTheirModuleInModelOrder) {
  const std::vector<ParameterTargets> targets =
      by_module(small_mlp(), {"seq.2.weight", "seq.0.weight", "seq.2.bias", "weight"});
  ASSERT_EQ(targets.size(), 2U);
  EXPECT_EQ(targets[0].module, "seq.0");
  EXPECT_THAT(targets[0].names, ElementsAre("weight"));
  EXPECT_EQ(targets[1].module, "seq.2");
  EXPECT_THAT(targets[1].names, ElementsAre("weight", "bias"));
}

// The names that PEFT gives to the same layer: ParamWrapper around ParamWrapper.
TEST(WeightTargets, FirstOfSeveralWeightsIsInnermostInTheFile) {
  const LayerFacts facts = recurrent_layer();
  auto specs = specs_named({"weight_ih_l0.lora_A.weight", "weight_ih_l0.lora_B.weight",
                            "weight_hh_l0.lora_A.weight", "weight_hr_l0.lora_A.weight"});
  EXPECT_THAT(adapted_weights(facts, specs),
              ElementsAre("weight_ih_l0", "weight_hh_l0", "weight_hr_l0"));
  name_in_file(facts, specs);
  EXPECT_THAT(file_names(specs), ElementsAre("base_layer.base_layer.lora_A.weight",
                                             "base_layer.base_layer.lora_B.weight",
                                             "base_layer.lora_A.weight", "lora_A.weight"));
}

TEST(WeightTargets, LayerWithAParameterOfNoWeightKeepsItsOwnNames) {
  const LayerFacts facts = recurrent_layer();
  auto specs = specs_named({"weight_ih_l0.lora_A.weight", "lora_B.weight"});
  EXPECT_THAT(adapted_weights(facts, specs), IsEmpty());
  name_in_file(facts, specs);
  EXPECT_THAT(file_names(specs), ElementsAre("weight_ih_l0.lora_A.weight", "lora_B.weight"));
}

TEST(WeightTargets, ConfigOfWholeLayersIsWrittenAsItIs) {
  const AdapterConfig config = lora("a", {"seq.0", "2"});
  const InjectionPlan plan = plan_injection(small_mlp(), config, testing::built_in_plugins());
  EXPECT_EQ(config_in_file(plan.config, *plan.method, plan.layers).target_modules,
            config.target_modules);
}

TEST(WeightTargets, ConfigOfParametersNamesThemInFullAndKeepsTheirRanks) {
  AdapterConfig config = lora("a", {"seq.0"});
  config.target_parameters = {"2.weight", "4.weight"};
  config.method_keys["rank_pattern"] = testing::patterns({{"seq.0", 3}, {"2.weight", 5}});
  const InjectionPlan plan = plan_injection(small_mlp(), config, testing::built_in_plugins());
  const AdapterConfig file = config_in_file(plan.config, *plan.method, plan.layers);
  EXPECT_EQ(file.target_modules, ModuleRule(std::vector<std::string>{"seq.0"}));
  EXPECT_THAT(file.target_parameters, ElementsAre("seq.2.weight", "seq.4.weight"));
  EXPECT_EQ(file.method_keys.at("rank_pattern"),
            testing::patterns({{R"(^seq\.2\.weight)", 5}, {"seq.0", 3}}))
      << "an expression that only a parameter has gives way to its full name";
}

TEST(WeightTargets, ConfigHasTheRankOfEachParameterOfOneModule) {
  ModelData model = small_mlp();
  model.tensors[1].name = "seq.0.other";
  model.tensors[1].tensor = at::ones({8, 6});
  AdapterConfig config = lora("a", {});
  config.target_modules = ModuleRule();
  config.target_parameters = {"other", "seq.0.weight"};
  config.method_keys["rank_pattern"] = testing::patterns({{"other", 3}});
  config.method_keys["alpha_pattern"] = testing::patterns({{"seq.*weight", 7}});
  const InjectionPlan plan = plan_injection(model, config, testing::built_in_plugins());
  const AdapterConfig file = config_in_file(plan.config, *plan.method, plan.layers);
  EXPECT_THAT(file.target_parameters, ElementsAre("seq.0.weight", "seq.0.other"));
  EXPECT_EQ(file.method_keys.at("rank_pattern"), testing::patterns({{R"(^seq\.0\.other)", 3}}));
  EXPECT_EQ(file.method_keys.at("alpha_pattern"), testing::patterns({{R"(^seq\.0\.weight)", 7}}));
}

}  // namespace
}  // namespace tenon
