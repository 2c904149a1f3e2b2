// What PEFT's tests assert of adapters that come, go, are merged and swapped, on AdaptedModel.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <limits>

#include "adapted/adapted_model.h"
#include "support/error_matchers.h"
#include "support/lora_model.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::lora;
using testing::LoraModel;
using testing::same;

std::string logged(const std::function<void()>& action) {
  ::testing::internal::CaptureStderr();
  action();
  return ::testing::internal::GetCapturedStderr();
}

// Copies of the weights that merging made, by name.
std::map<std::string, at::Tensor> merged_weights(const LoraModel& made) {
  std::map<std::string, at::Tensor> weights;
  for (const MergedTensor& merged : made.model.merged_tensors()) {
    weights[merged.name] = merged.merged.clone();
  }
  return weights;
}

void spoil(LoraModel& made, const std::string& adapter) {
  const at::NoGradGuard no_grad;
  made.model.adapter(adapter).tensors[0].tensor.fill_(std::numeric_limits<float>::quiet_NaN());
}

bool trains(const LoraModel& made, const std::string& adapter) {
  return made.model.adapter(adapter).tensors[0].tensor.requires_grad();
}

TEST(AdapterOperations, AdaptersOfOneLayerTypeHoldTheFactsOfALayerOnce) {
  LoraModel made({lora("a", {"seq.0", "seq.2"})});
  const auto planned = [&](const std::string& method, const std::string& target) {
    AdapterConfig config = lora("b", {target});
    if (method == "ia3") {
      config.method = method;
      config.method_keys = {{"init_ia3_weights", false}};
      config.method_keys["feedforward_modules"] = std::vector<std::string>{};
    }
    InjectionPlan plan = plan_injection(made.model.model(), config, testing::built_in_plugins());
    made.model.share_facts(plan);
    return plan.layers.at(0).facts.get();
  };
  const LayerFacts* known = made.model.adapter("a").layers.at(0).facts.get();
  EXPECT_EQ(planned("lora", "seq.0"), known);
  EXPECT_NE(planned("ia3", "seq.0"), known);
  EXPECT_NE(planned("lora", "seq.4"), nullptr);
}

TEST(AdapterOperations, MergingTwiceIsMergingOnceAndIsTold) {
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.2"})});
  made.model.merge({"a"});
  const at::Tensor merged = made.run();
  EXPECT_EQ(logged([&] { made.model.merge({"a"}); }),
            "warning: All adapters are already merged, nothing to do.\n");
  EXPECT_TRUE(same(made.run(), merged));
  EXPECT_EQ(logged([&] { made.model.merge({"a", "b"}); }), "");
  EXPECT_THAT(made.model.merged(), ElementsAre("a", "b"));
  made.model.unmerge();
  EXPECT_EQ(logged([&] { made.model.unmerge(); }), "warning: Already unmerged. Nothing to do.\n");
}

TEST(AdapterOperations, SettingAdaptersActiveUnmergesAndIsTold) {
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.2"})});
  const at::Tensor b = made.run({"b"});
  made.model.merge({"a"});
  EXPECT_EQ(logged([&] { made.model.set_active({"b"}); }),
            "warning: Adapter cannot be set when the model is merged. Unmerging the model "
            "first.\n");
  EXPECT_THAT(made.model.merged(), IsEmpty());
  EXPECT_TRUE(same(made.run(), b));
}

TEST(AdapterOperations, MergedOneByOneTheyAreAsMergedAtOnce) {
  for (const char* dtype : {"float32", "bfloat16", "float16"}) {
    const std::vector<AdapterConfig> adapters{lora("a", {"seq.0"}), lora("b", {"seq.0", "seq.2"}),
                                              lora("c", {"seq.2"})};
    LoraModel at_once(adapters, dtype);
    at_once.model.merge({"a", "b", "c"});
    LoraModel one_by_one(adapters, dtype);
    for (const char* name : {"a", "b", "c"}) one_by_one.model.merge({name});
    const auto wanted = merged_weights(at_once);
    const auto found = merged_weights(one_by_one);
    ASSERT_EQ(found.size(), 2);
    for (const auto& [name, weight] : wanted) EXPECT_TRUE(same(found.at(name), weight)) << name;
  }
}

TEST(AdapterOperations, HalfPrecisionComesBackBitForBit) {
  for (const char* dtype : {"bfloat16", "float16"}) {
    LoraModel made({lora("a", {"seq.0", "seq.2"}), lora("b", {"seq.2"})}, dtype);
    made.input = made.input.to(made.weight("seq.0.weight").scalar_type());
    const at::Tensor weight = made.weight("seq.2.weight").clone();
    const at::Tensor base = made.run({});
    const at::Tensor with_a = made.run({"a"});
    for (int i = 0; i < 3; ++i) {
      made.model.merge({"a", "b"});
      EXPECT_FALSE(same(made.run(), with_a));
      made.model.unmerge();
    }
    EXPECT_TRUE(same(made.run(), with_a));
    EXPECT_TRUE(same(made.run({}), base));
    EXPECT_TRUE(same(made.weight("seq.2.weight"), weight));
  }
}

TEST(AdapterOperations, AMergeThatIsRefusedLeavesWhatWasMerged) {
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.0", "seq.2"})});
  made.model.merge({"a"});
  const at::Tensor before = made.run();
  const auto weights = merged_weights(made);
  spoil(made, "b");
  EXPECT_THAT(error_text([&] { made.model.merge({"b"}); }), HasSubstr("nothing was merged"));
  EXPECT_THAT(made.model.merged(), ElementsAre("a"));
  const auto after = merged_weights(made);
  ASSERT_EQ(after.size(), 1);
  EXPECT_TRUE(same(after.at("seq.0.weight"), weights.at("seq.0.weight")));
  EXPECT_TRUE(same(made.run(), before));
}

TEST(AdapterOperations, OneOfSeveralActiveAdaptersIsSwapped) {
  LoraModel made({lora("a", {"seq.0", "seq.2"}), lora("b", {"seq.0"}), lora("c", {"seq.4"})});
  made.model.set_active({"a", "b", "c"});
  AdapterConfig other = lora("a", {"seq.2"});  // fewer layers, another rank and scale
  other.method_keys["r"] = std::int64_t{5};
  other.method_keys["lora_alpha"] = std::int64_t{3};
  other.method_keys["use_rslora"] = true;
  made.model.swap_adapter(made.place(other));
  EXPECT_THAT(made.model.active(), ElementsAre("a", "b", "c"));
  LoraModel fresh({other, lora("b", {"seq.0"}), lora("c", {"seq.4"})});
  EXPECT_TRUE(same(made.run(), fresh.run({"a", "b", "c"})));

  made.run().sum().backward();
  for (const char* name : {"a", "b", "c"}) {
    for (const AddedTensor& added : made.model.adapter(name).tensors) {
      EXPECT_TRUE(added.tensor.grad().defined()) << name << " " << added.key();
    }
  }
  EXPECT_EQ(made.model.trainable().size(), 6);
}

TEST(AdapterOperations, ASwapBringsOtherKindsAndOtherLayers) {
  AdapterConfig dora = lora("a", {"seq.2", "seq.4"});
  dora.method_keys["use_dora"] = true;
  AdapterConfig pissa = lora("a", {"seq.0"});
  pissa.method_keys["init_lora_weights"] = std::string("pissa");
  AdapterConfig saving = lora("a", {"seq.0"});
  saving.modules_to_save = {"seq.4"};
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.2"})});
  made.model.set_active({"a", "b"});
  const at::Tensor before = made.run();
  auto first = made.model.swap_adapter(made.place(dora));
  for (const AdapterConfig& other : {dora, saving, pissa, lora("a", {"seq.0"})}) {
    made.model.swap_adapter(made.place(other));
    LoraModel fresh({other, lora("b", {"seq.2"})});
    EXPECT_TRUE(same(made.run(), fresh.run({"a", "b"})));
  }
  made.model.swap_adapter(std::move(first));
  EXPECT_TRUE(same(made.run(), before));
}

TEST(AdapterOperations, ASwapKeepsActivityTrainabilityAndScale) {
  LoraModel made({lora("a", {"seq.2"}), lora("b", {"seq.0"})});
  made.model.rescale("b", 0.5);
  AdapterConfig other = lora("b", {"seq.2"});
  other.method_keys["r"] = std::int64_t{3};
  made.model.swap_adapter(made.place(other));
  EXPECT_THAT(made.model.active(), ElementsAre("a"));
  EXPECT_FALSE(trains(made, "b"));
  EXPECT_EQ(made.model.trainable().size(), 2);
  LoraModel fresh({other});
  fresh.model.rescale("b", 0.5);
  EXPECT_TRUE(same(made.run({"b"}), fresh.run()));
}

TEST(AdapterOperations, AnAdapterIsSwappedWhileAnotherIsMerged) {
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.0"})});
  made.model.merge({"b"});
  AdapterConfig other = lora("a", {"seq.0", "seq.2"});
  other.method_keys["r"] = std::int64_t{1};
  made.model.swap_adapter(made.place(other));
  EXPECT_THAT(made.model.merged(), ElementsAre("b"));
  LoraModel fresh({other, lora("b", {"seq.0"})});
  EXPECT_TRUE(at::allclose(made.run(), fresh.run({"a", "b"}), 1e-5, 1e-6));
}

TEST(AdapterOperations, DeletingWhatIsNotActiveLeavesWhatIs) {
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.0"}), lora("c", {"seq.2"})});
  const at::Tensor both = made.run({"c", "a"});
  EXPECT_EQ(logged([&] { made.model.delete_adapter("b"); }), "");
  EXPECT_THAT(made.model.active(), ElementsAre("c", "a"));
  EXPECT_TRUE(same(made.run(), both));
  const at::Tensor a = LoraModel({lora("a", {"seq.0"})}).run();
  EXPECT_EQ(logged([&] { made.model.delete_adapter("c"); }), "");  // one is left active
  EXPECT_THAT(made.model.active(), ElementsAre("a"));
  EXPECT_TRUE(same(made.run(), a));
}

TEST(AdapterOperations, WhoBecomesActiveByADeletionIsTrainedAndNamed) {
  LoraModel made({lora("b", {"seq.0"}), lora("a", {"seq.2"})});
  EXPECT_FALSE(trains(made, "a"));
  EXPECT_EQ(logged([&] { made.model.delete_adapter("b"); }),
            "warning: the adapter b was active and is deleted; a is active now\n");
  EXPECT_TRUE(trains(made, "a"));
}

TEST(AdapterOperations, AfterTheLastIsDeletedAnotherMayCome) {
  LoraModel made({lora("a", {"seq.0"})});
  made.model.delete_adapter("a");
  EXPECT_FALSE(made.model.has_adapters());
  EXPECT_THAT(made.model.trainable(), IsEmpty());
  made.add(lora("b", {"seq.2"}));
  EXPECT_THAT(made.model.active(), ElementsAre("b"));
  EXPECT_TRUE(trains(made, "b"));
  EXPECT_TRUE(same(made.run(), LoraModel({lora("b", {"seq.2"})}).run()));
}

TEST(AdapterOperations, ADeletionThatIsRefusedChangesNothing) {
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.2"})});
  made.model.merge({"a"});
  const at::Tensor merged = made.run();
  EXPECT_THAT(error_text([&] { made.model.delete_adapter("a"); }), HasSubstr("unmerge it first"));
  EXPECT_THAT(made.model.adapter_names(), ElementsAre("a", "b"));
  EXPECT_THAT(made.model.merged(), ElementsAre("a"));
  EXPECT_TRUE(same(made.run(), merged));
  made.model.delete_adapter("b");  // what is not merged goes
  EXPECT_TRUE(same(made.run(), merged));
}

TEST(AdapterOperations, ASecondAdapterWithABiasIsNotAdded) {
  AdapterConfig first = lora("a", {"seq.0"});
  first.bias = "all";
  LoraModel made({first});
  const at::Tensor before = made.run();
  AdapterConfig second = lora("b", {"seq.2"});
  second.bias = "lora_only";
  EXPECT_THAT(error_text([&] { made.add(second); }),
              HasSubstr("only one adapter can have a bias: a has bias = \"all\" and b has bias = "
                        "\"lora_only\""));
  EXPECT_THAT(made.model.adapter_names(), ElementsAre("a"));
  EXPECT_TRUE(same(made.run(), before));
  second.bias = "none";
  made.add(second);
}

TEST(AdapterOperations, DisabledWithTrainedBiasesItIsTheBase) {
  AdapterConfig config = lora("a", {"seq.0"});
  config.bias = "all";
  LoraModel made({config});
  {
    const at::NoGradGuard no_grad;
    for (const AddedTensor& added : made.model.adapter("a").tensors) added.tensor.add_(0.5);
  }
  const at::Tensor adapted = made.run();
  made.model.set_enabled(false);
  EXPECT_TRUE(same(made.run(), made.base()));
  made.model.set_enabled(true);
  EXPECT_TRUE(same(made.run(), adapted));
}

TEST(AdapterOperations, OnlyWhatIsActiveIsTrained) {
  AdapterConfig saving = lora("a", {"seq.0"});
  saving.modules_to_save = {"seq.4"};
  LoraModel made({saving, lora("b", {"seq.2"}), lora("c", {"seq.0"})});
  const auto check = [&](const std::vector<std::string>& active, std::size_t count) {
    made.model.set_active(active);
    for (const char* name : {"a", "b", "c"}) {
      EXPECT_EQ(trains(made, name), std::ranges::count(active, name) > 0) << name;
    }
    EXPECT_EQ(made.model.trainable().size(), count);
  };
  check({"a"}, 4);
  check({"b", "c"}, 4);
  check({"a", "c", "b"}, 8);
  check({}, 0);
  made.model.set_active({"c"});
  made.model.set_enabled(false);  // disabled it runs the base; who is trained stays
  made.model.set_enabled(true);
  EXPECT_TRUE(trains(made, "c"));
  for (const ModelTensor& tensor : made.model.base_tensors()) {
    EXPECT_FALSE(tensor.tensor.requires_grad()) << tensor.name;
  }
}

}  // namespace
}  // namespace tenon
