#include "adapted/adapted_model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <limits>

#include "adapted/parameter_count.h"
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

TEST(AdaptedModel, FirstAdapterIsActiveAndLaterOnesWaitForSetActive) {
  LoraModel made({lora("a", {"seq.0"})});
  AdaptedModel& model = made.model;
  const at::Tensor with_a = made.run();
  made.add(lora("b", {"seq.0", "seq.2"}));
  EXPECT_TRUE(same(made.run(), with_a));
  EXPECT_THAT(model.active(), ElementsAre("a"));
  EXPECT_FALSE(model.adapter("b").tensors[0].tensor.requires_grad());
  model.set_active({"b"});
  EXPECT_FALSE(at::allclose(made.run(), with_a));
  EXPECT_FALSE(model.adapter("a").tensors[0].tensor.requires_grad());
  EXPECT_TRUE(model.adapter("b").tensors[0].tensor.requires_grad());
}

TEST(AdaptedModel, SeveralActiveAdaptersAreSummed) {
  LoraModel made({lora("a", {"seq.2"}), lora("b", {"seq.2"})});
  const at::Tensor base = made.run({});
  const at::Tensor a = made.run({"a"}) - base;
  const at::Tensor b = made.run({"b"}) - base;
  EXPECT_TRUE(at::allclose(made.run({"a", "b"}), base + a + b, 1e-5, 1e-6));
}

TEST(AdaptedModel, AdaptersOnDifferentLayersDoNotDisturbEachOther) {
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.2"})});
  LoraModel only_a({lora("a", {"seq.0"})});
  EXPECT_TRUE(same(made.run({"a"}), only_a.run()));
}

TEST(AdaptedModel, DisabledItRunsTheBaseAndComesBack) {
  LoraModel made({lora("a", {"seq.0"})});
  const at::Tensor adapted = made.run();
  made.model.set_enabled(false);
  EXPECT_TRUE(same(made.run(), made.base()));
  made.model.set_enabled(true);
  EXPECT_TRUE(same(made.run(), adapted));
  made.model.merge({"a"});
  made.model.set_enabled(false);
  EXPECT_TRUE(same(made.run(), made.base()));
}

TEST(AdaptedModel, AdaptersOfAMethodThatDoesNotScaleCannotBeRescaled) {
  AdapterConfig config;
  config.name = "factors";
  config.method = "ia3";
  config.target_modules = std::vector<std::string>{"seq.0"};
  LoraModel made({lora("a", {"seq.0"}), config});
  made.model.rescale("a", 0.5);
  EXPECT_THAT(error_text([&] { made.model.rescale("factors", 0.5); }),
              HasSubstr("the adapter factors cannot be rescaled: adapters of the method ia3 do not "
                        "scale"));
}

TEST(AdaptedModel, TrainsAdaptersWhetherTheyAreActiveOrNot) {
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.0"})});
  made.model.set_active({"a", "b"}, /*trainable=*/false);
  EXPECT_THAT(made.model.trainable(), IsEmpty());
  made.model.set_trainable("b", true);
  made.run().sum().backward();
  EXPECT_FALSE(made.model.adapter("a").tensors[0].tensor.grad().defined());
  EXPECT_TRUE(made.model.adapter("b").tensors[0].tensor.grad().defined());
}

TEST(AdaptedModel, CountsEveryAdapterAndOnlyTheTrainedAsTrainable) {
  LoraModel made({lora("a", {"seq.0"})});
  const ParameterCount one = count_parameters(made.model);
  made.add(lora("b", {"seq.0"}));
  const ParameterCount two = count_parameters(made.model);
  EXPECT_EQ(two.trainable, one.trainable);
  EXPECT_EQ(two.all, one.all + one.trainable);
}

TEST(AdaptedModel, RescalingMultipliesTheAdaptersTerm) {
  LoraModel made({lora("a", {"seq.2"})});
  const at::Tensor term = made.run() - made.base();
  made.model.rescale("a", 0.5);
  EXPECT_TRUE(at::allclose(made.run() - made.base(), term / 2, 1e-4, 1e-6));
  made.model.rescale("a", 1);
  EXPECT_TRUE(at::allclose(made.run() - made.base(), term, 1e-4, 1e-6));
}

TEST(AdaptedModel, DeletingTheActiveAdapterActivatesTheNextByName) {
  LoraModel made({lora("c", {"seq.0"}), lora("b", {"seq.0"}), lora("a", {"seq.2"})});
  const at::Tensor with_a = made.run({"a"});
  made.model.set_active({"c"});
  made.model.delete_adapter("c");
  EXPECT_THAT(made.model.active(), ElementsAre("a"));
  EXPECT_TRUE(same(made.run(), with_a));
  made.model.delete_adapter("a");
  made.model.delete_adapter("b");
  EXPECT_THAT(made.model.layers(), IsEmpty());
  EXPECT_TRUE(same(made.run(), made.base()));
}

TEST(AdaptedModel, NamesThatDoNotFitAreToldAndChangeNothing) {
  LoraModel made({lora("a", {"seq.0"})});
  EXPECT_THAT(error_text([&] { made.add(lora("a", {"seq.2"})); }),
              HasSubstr("Adapter with name 'a' already exists."));
  EXPECT_THAT(error_text([&] {
                made.model.set_active({"a", "zz"});
              }),
              HasSubstr("Adapter zz not found\n  the model has: a"));
  EXPECT_THAT(error_text([&] {
                made.model.set_active({"a", "a"});
              }),
              HasSubstr("the adapter a is named twice"));
  EXPECT_THAT(error_text([&] { made.model.delete_adapter("zz"); }),
              HasSubstr("Adapter zz does not exist"));
  EXPECT_THAT(made.model.adapter_names(), ElementsAre("a"));
  EXPECT_EQ(made.model.layers().size(), 1);
}

TEST(AdaptedModel, MergedLayersGiveTheSameOutputAndTheOriginalsComeBackBitForBit) {
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.0", "seq.2"})});
  const at::Tensor both = made.run({"a", "b"});
  const at::Tensor a = made.run({"a"});
  made.model.merge({"a"});
  EXPECT_TRUE(at::allclose(made.run(), a, 1e-5, 1e-6));
  made.model.merge({"b"});  // beside what is merged
  EXPECT_TRUE(at::allclose(made.run(), both, 1e-5, 1e-6));
  EXPECT_EQ(made.model.merged_tensors().size(), 2);
  EXPECT_EQ(made.model.merged_tensors()[0].name, "seq.0.weight");
  made.model.unmerge();
  EXPECT_TRUE(same(made.run(), a));
  made.model.set_active({});
  EXPECT_TRUE(same(made.run(), made.base()));
}

TEST(AdaptedModel, ActiveAdaptersRunOnTopOfMergedOnes) {
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.0"})});
  const at::Tensor both = made.run({"a", "b"});
  made.model.merge({"a"});
  EXPECT_TRUE(at::allclose(made.run(), both, 1e-5, 1e-6));
}

TEST(AdaptedModel, MergedAdaptersAreNeitherDeletedNorSwappedNorRescaled) {
  LoraModel made({lora("a", {"seq.0"})});
  made.model.merge({"a"});
  EXPECT_THAT(error_text([&] { made.model.delete_adapter("a"); }),
              HasSubstr("Cannot delete the adapter a while it is merged"));
  EXPECT_THAT(error_text([&] { made.model.rescale("a", 2); }), HasSubstr("unmerge it first"));
  EXPECT_THAT(error_text([&] { made.model.swap_adapter(made.place(lora("a", {"seq.0"}))); }),
              HasSubstr("unmerge it first"));
}

TEST(AdaptedModel, MergingWhatIsNotFiniteIsRefusedAndChangesNothing) {
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.2"})});
  made.run({"a", "b"});
  {
    const at::NoGradGuard no_grad;
    at::Tensor broken = made.model.adapter("b").tensors[0].tensor;
    broken[0][0] = std::numeric_limits<float>::infinity();
  }
  EXPECT_THAT(error_text([&] {
                made.model.merge({"a", "b"});
              }),
              HasSubstr("NaNs or infinities in the merged weight of `seq.2`: the adapter a, b "
                        "seems to be broken; nothing was merged"));
  EXPECT_THAT(made.model.merged(), IsEmpty());
  EXPECT_THAT(made.model.merged_tensors(), IsEmpty());
}

TEST(AdaptedModel, HalfPrecisionIsMergedInFloatAndRoundedOnce) {
  LoraModel made({lora("a", {"seq.2"})}, "bfloat16");
  made.model.merge({"a"});
  const AdapterInstance& adapter = made.model.adapter("a");
  const at::Tensor weight = made.weight("seq.2.weight");
  const at::Tensor expected =
      (weight.to(at::kFloat) + at::matmul(adapter.tensors[1].tensor, adapter.tensors[0].tensor) * 2)
          .to(at::kBFloat16);
  EXPECT_TRUE(same(made.model.merged_tensors().at(0).merged, expected));
}

TEST(AdaptedModel, SwappingAnAdapterTakesAnotherRankAndGivesTheOldOneBack) {
  LoraModel made({lora("a", {"seq.0", "seq.2"})});
  const at::Tensor before = made.run();
  AdapterConfig other = lora("a", {"seq.2"});
  other.method_keys["r"] = std::int64_t{7};
  LoraModel alone({other});
  std::unique_ptr<AdapterInstance> old = made.model.swap_adapter(made.place(other));
  EXPECT_TRUE(same(made.run(), alone.run()));
  EXPECT_TRUE(made.model.adapter("a").tensors[0].tensor.requires_grad());
  made.model.swap_adapter(std::move(old));
  EXPECT_TRUE(same(made.run(), before));
}

TEST(AdaptedModel, WhatDoesNotFitBesideTheOthersIsNotSwappedInEither) {
  AdapterConfig a = lora("a", {"seq.0"});
  a.bias = "all";
  a.modules_to_save = {"seq.4"};
  LoraModel made({a, lora("b", {"seq.2"})});
  made.model.set_active({"a", "b"});
  const at::Tensor before = made.run();
  AdapterConfig with_bias = lora("b", {"seq.2"});
  with_bias.bias = "lora_only";
  EXPECT_THAT(error_text([&] { made.model.swap_adapter(made.place(with_bias)); }),
              HasSubstr("only one adapter can have a bias: a has bias"));
  AdapterConfig saver = lora("b", {"seq.2"});
  saver.modules_to_save = {"seq.4"};
  EXPECT_THAT(error_text([&] { made.model.swap_adapter(made.place(saver)); }),
              HasSubstr("Only one adapter can be set at a time for `seq.4`"));
  EXPECT_TRUE(same(made.run(), before));
  made.model.swap_adapter(made.place(a));  // the one that has the bias may be swapped itself
  EXPECT_EQ(made.model.adapter("a").config.bias, "all");
}

TEST(AdaptedModel, EachAdapterHasItsOwnCopyOfAModuleToSave) {
  AdapterConfig a = lora("a", {"seq.0"});
  a.modules_to_save = {"seq.4"};
  AdapterConfig b = lora("b", {"seq.2"});
  b.modules_to_save = {"seq.4"};
  LoraModel made({a, b});
  {
    const at::NoGradGuard no_grad;
    made.model.adapter("a").tensors[2].tensor.fill_(1);
    made.model.adapter("b").tensors[2].tensor.fill_(2);
  }
  EXPECT_EQ(made.model.adapter("a").tensors[2].key(), "seq.4.weight");
  const at::Tensor with_a = made.run({"a"});
  EXPECT_FALSE(at::allclose(made.run({"b"}), with_a));
  EXPECT_THAT(error_text([&] {
                made.model.set_active({"a", "b"});
              }),
              HasSubstr("Only one adapter can be set at a time for `seq.4`: a and b both save it"));
  EXPECT_TRUE(same(made.run({}), made.base()));
  made.model.merge({"a"});
  made.model.set_active({"a"});
  EXPECT_TRUE(same(made.run(), with_a));
}

TEST(AdaptedModel, OneAdapterMayAdaptWhatAnotherSavesWhole) {
  AdapterConfig saver = lora("saver", {"seq.0"});
  saver.modules_to_save = {"seq.4"};
  LoraModel made({saver, lora("b", {"seq.4"})});
  const at::Tensor base = made.run({});
  {
    const at::NoGradGuard no_grad;
    made.model.adapter("saver").tensors[2].tensor.mul_(2);
  }
  const at::Tensor saved = made.run({"saver"});
  EXPECT_FALSE(at::allclose(saved, base));
  EXPECT_FALSE(at::allclose(made.run({"saver", "b"}), saved));
}

TEST(AdaptedModel, AContainerSavedWholeRunsOnItsCopies) {
  AdapterConfig a = lora("a", {"seq.0"});
  a.modules_to_save = {"head"};
  LoraModel made({a}, "float32", /*with_head=*/true);
  made.run().sum().backward();
  std::vector<std::string> keys;
  for (const AddedTensor& added : made.model.adapter("a").tensors) {
    EXPECT_TRUE(added.tensor.grad().defined()) << added.key();
    keys.push_back(added.key());
  }
  EXPECT_THAT(keys, ElementsAre("seq.0.lora_A.weight", "seq.0.lora_B.weight", "head.0.weight",
                                "head.0.bias", "head.1.weight", "head.1.bias"));
}

// The gradients of the sum of the output's squares in all trained tensors.
std::vector<at::Tensor> gradients(LoraModel& made) {
  made.model.forward({made.input}, {.training = true})[0].square().sum().backward();
  std::vector<at::Tensor> found;
  for (at::Tensor& tensor : made.model.trainable()) {
    found.push_back(tensor.grad().clone());
    tensor.mutable_grad() = at::Tensor();
  }
  return found;
}

TEST(AdaptedModel, CheckpointedItTrainsTheSame) {
  LoraModel made({lora("a", {"seq.0", "seq.2"})});
  const at::Tensor output = made.run();
  const std::vector<at::Tensor> wanted = gradients(made);
  for (const ModuleRule& rule :
       {ModuleRule(std::vector<std::string>{"seq"}), ModuleRule(Regex{"seq\\.[02]"})}) {
    made.model.checkpoint(rule);
    EXPECT_TRUE(same(made.run(), output));
    const std::vector<at::Tensor> found = gradients(made);
    ASSERT_EQ(found.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_TRUE(same(found[i], wanted[i]));
  }
}

TEST(AdaptedModel, CheckpointStaysWhenAdaptersComeAndGo) {
  LoraModel made({lora("a", {"seq.0"})});
  made.model.checkpoint(std::vector<std::string>{"seq"});
  made.add(lora("b", {"seq.2"}));
  made.model.set_active({"a", "b"});
  LoraModel plain({lora("a", {"seq.0"}), lora("b", {"seq.2"})});
  plain.model.set_active({"a", "b"});
  const std::vector<at::Tensor> found = gradients(made), wanted = gradients(plain);
  ASSERT_EQ(found.size(), 4U);
  for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_TRUE(same(found[i], wanted[i]));
}

TEST(AdaptedModel, NamesWhatCannotBeCheckpointed) {
  LoraModel made({lora("a", {"seq.0"})});
  EXPECT_THAT(error_text([&] { made.model.checkpoint(std::vector<std::string>{"sec"}); }),
              HasSubstr("`sec` in [train] checkpoint matches no module; did you mean `seq`?"));
  EXPECT_THAT(error_text([&] {
                made.model.checkpoint(std::vector<std::string>{"seq", "seq.0"});
              }),
              HasSubstr("[train] checkpoint names `seq.0` and `seq`, which it lies in"));
}

}  // namespace
}  // namespace tenon
