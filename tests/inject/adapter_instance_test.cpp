#include "inject/adapter_instance.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <memory>

#include "support/lora_model.h"

namespace tenon {
namespace {

using ::testing::UnorderedElementsAre;

std::unique_ptr<AdapterInstance> place(const ModelData& model, const AdapterConfig& config) {
  return place_adapter(model, plan_injection(model, config, testing::built_in_plugins()), 1);
}

AdapterConfig saving(std::vector<std::string> modules, bool ensure_weight_tying) {
  AdapterConfig config = testing::lora("a", {"mid"});
  config.modules_to_save = std::move(modules);
  config.ensure_weight_tying = ensure_weight_tying;
  return config;
}

const AddedTensor& added(const AdapterInstance& adapter, const std::string& key) {
  return *std::ranges::find_if(adapter.tensors,
                               [&](const AddedTensor& tensor) { return tensor.key() == key; });
}

std::vector<std::string> keys(const AdapterInstance& adapter) {
  std::vector<std::string> names;
  for (const AddedTensor& tensor : adapter.tensors) names.push_back(tensor.key());
  return names;
}

TEST(AdapterInstance, WhatItsFileHoldsIsZeroUntilItIsRead) {
  const ModelData model = testing::tied_model();
  const InjectionPlan plan =
      plan_injection(model, testing::lora("a", {"mid"}), testing::built_in_plugins());
  const auto saved = place_saved_adapter(model, plan);
  const auto started = place_adapter(model, plan, 1);
  ASSERT_EQ(keys(*saved), keys(*started));
  for (std::size_t i = 0; i < saved->tensors.size(); ++i) {
    EXPECT_EQ(saved->tensors[i].tensor.abs().max().item<float>(), 0) << i;
    EXPECT_GT(started->tensors[i].tensor.abs().max().item<float>(), 0) << i;
  }
}

TEST(AdapterInstance, SavedModulesThatShareAWeightTrainOneCopyOfItIfTheyAreTied) {
  const ModelData model = testing::tied_model();
  for (const bool ensure : {true, false}) {
    const auto adapter = place(model, saving({"head", "words"}, ensure));
    EXPECT_THAT(keys(*adapter), UnorderedElementsAre("mid.lora_A.weight", "mid.lora_B.weight",
                                                     "words.weight", "head.weight"));
    EXPECT_TRUE(added(*adapter, "words.weight").trainable);
    EXPECT_EQ(added(*adapter, "head.weight").trainable, !ensure);
    EXPECT_EQ(added(*adapter, "head.weight").tensor.is_same(added(*adapter, "words.weight").tensor),
              ensure);
  }
}

TEST(AdapterInstance, LayerTiedToASavedModuleIsWrittenWithIt) {
  const ModelData model = testing::tied_model();
  EXPECT_THAT(keys(*place(model, saving({"head"}, true))),
              UnorderedElementsAre("mid.lora_A.weight", "mid.lora_B.weight", "words.weight",
                                   "head.weight"));
  EXPECT_THAT(keys(*place(model, saving({"head"}, false))),
              UnorderedElementsAre("mid.lora_A.weight", "mid.lora_B.weight", "head.weight"));
}

TEST(AdapterInstance, OnlyStartsThatTookTheirPartOutOfTheBaseAreKept) {
  const ModelData model = testing::small_mlp();
  const InjectionPlan plan =
      plan_injection(model, testing::lora("a", {"seq.0", "seq.2"}), testing::built_in_plugins());
  GivenStarts given;
  given["seq.0"].parameters["lora_A.weight"] = at::linspace(0, 1, 12).reshape({2, 6});
  given["seq.2"].parameters["lora_A.weight"] = at::linspace(0, 1, 16).reshape({2, 8});
  given["seq.2"].residuals.emplace_back(0, at::linspace(0, 1, 64).reshape({8, 8}));
  const auto adapter = place_adapter(model, plan, 1, given);
  EXPECT_TRUE(testing::same(added(*adapter, "seq.0.lora_A.weight").tensor,
                            given["seq.0"].parameters["lora_A.weight"]));
  EXPECT_EQ(adapter->given.size(), 1U);
  EXPECT_TRUE(adapter->given.contains("seq.2"));
}

}  // namespace
}  // namespace tenon
