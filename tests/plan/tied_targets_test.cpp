#include "plan/tied_targets.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "adapted/parameter_count.h"
#include "support/adapter_keys.h"
#include "support/error_matchers.h"
#include "support/lora_model.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::lora;
using testing::same;
using testing::tied_model;

AdapterConfig tied(std::vector<std::string> targets, const std::string& name = "a") {
  AdapterConfig config = lora(name, std::move(targets));
  config.ensure_weight_tying = true;
  return config;
}

InjectionPlan plan(const AdapterConfig& config) {
  return plan_injection(tied_model(), config, testing::built_in_plugins());
}

std::vector<std::string> targets_of(const AdapterConfig& config) {
  return std::get<std::vector<std::string>>(config.target_modules);
}

struct Adapted {
  AdaptedModel model;
  at::Tensor ids = at::arange(6).reshape({2, 3});

  explicit Adapted(const std::vector<AdapterConfig>& configs, const std::string& dtype = "float32")
      : model(tied_model(dtype)) {
    for (const AdapterConfig& config : configs) {
      model.add_adapter(plan_injection(model.model(), config, testing::built_in_plugins()), 5);
    }
  }
  at::Tensor run() const { return model.forward({ids}, {.training = true}).at(0); }
  at::Tensor tensor(const std::string& key) const {
    for (const AddedTensor& added : model.adapter("a").tensors) {
      if (added.key() == key) return added.tensor;
    }
    ADD_FAILURE() << key;
    return {};
  }
  at::Tensor a() const { return tensor("words.lora_embedding_A"); }
  at::Tensor b() const { return tensor("words.lora_embedding_B"); }
  at::Tensor head_a() const { return tensor("head.lora_A.weight"); }
  at::Tensor head_b() const { return tensor("head.lora_B.weight"); }
};

TEST(TiedTargets, WhicheverIsTargetedBothAreAdaptedAndTheEmbeddingOwnsTheFactors) {
  for (const auto& targets : {std::vector<std::string>{"words"}, {"head"}, {"words", "head"}}) {
    const InjectionPlan planned = plan(tied(targets));
    ASSERT_EQ(planned.layers.size(), 2);
    EXPECT_EQ(planned.layers[0].facts->description().module_path, "words");
    EXPECT_EQ(planned.layers[0].tied_to, kNoModule);
    EXPECT_EQ(planned.layers[1].facts->description().module_path, "head");
    EXPECT_EQ(planned.layers[1].tied_to, planned.layers[0].module);
    EXPECT_TRUE(planned.layers[1].changes_alike);
  }
}

TEST(TiedTargets, TheConfigNamesTheTiedLayersToo) {
  EXPECT_THAT(targets_of(plan(tied({"mid", "head"})).config), ElementsAre("mid", "head", "words"));
  AdapterConfig config = tied({});
  config.target_modules = "mid|words";
  EXPECT_EQ(std::get<Regex>(plan(config).config.target_modules).pattern, "(?:mid|words)|^head");
}

TEST(TiedTargets, WithoutTheKeyOneLayerIsAdaptedAlone) {
  const InjectionPlan planned = plan(lora("a", {"words"}));
  EXPECT_EQ(planned.layers.size(), 1);
  EXPECT_THAT(planned.notes, ElementsAre(HasSubstr("so merging unties them")));
}

TEST(TiedTargets, LayersThatShareNothingAreLeftAndTheKeyIsToldToDoNothing) {
  const InjectionPlan planned = plan(tied({"mid"}));
  EXPECT_EQ(planned.layers.size(), 1);
  EXPECT_THAT(planned.notes, ElementsAre(HasSubstr("ensure_weight_tying has nothing to tie")));
}

TEST(TiedTargets, TheFactorsAreTheSameMemoryAcross) {
  const Adapted adapted({tied({"words"})});
  EXPECT_EQ(adapted.head_a().const_data_ptr(), adapted.b().const_data_ptr());
  EXPECT_EQ(adapted.head_b().const_data_ptr(), adapted.a().const_data_ptr());
  EXPECT_TRUE(same(adapted.head_a(), adapted.b().t()));
  EXPECT_TRUE(same(adapted.head_b(), adapted.a().t()));
  EXPECT_TRUE(adapted.head_a().is_leaf());
  EXPECT_TRUE(adapted.head_a().requires_grad());
}

// PEFT starts the Linear last, in the memory of both.
TEST(TiedTargets, TheyStartAsTheLinearLayersWould) {
  AdapterConfig config = tied({"words"});
  config.method_keys["init_lora_weights"] = true;
  const Adapted adapted({config});
  EXPECT_TRUE(same(adapted.a(), at::zeros({2, 7})));
  EXPECT_LE(adapted.b().abs().max().item<float>(), 0.5);  // 1 / sqrt(in)
  EXPECT_GT(adapted.b().abs().max().item<float>(), 0.1);
}

TEST(TiedTargets, EachSiteHasItsGradientAndTheyAddUpToThatOfTheWeight) {
  const Adapted adapted({tied({"words"})});
  adapted.run().square().sum().backward();
  const at::Tensor both_b = adapted.b().grad() + adapted.head_a().grad().t();

  const at::Tensor a = adapted.a().detach();
  const at::Tensor b = adapted.b().detach().clone().requires_grad_();
  const auto weight_of = [&](const char* name) {
    return std::ranges::find(adapted.model.base_tensors(), name, &ModelTensor::name)->tensor;
  };
  const at::Tensor weight = weight_of("words.weight") + at::mm(b, a).t() * 2;
  const at::Tensor mid = at::linear(at::embedding(weight, adapted.ids), weight_of("mid.weight"),
                                    weight_of("mid.bias"));
  const at::Tensor expected = at::linear(mid, weight);
  EXPECT_TRUE(at::allclose(adapted.run(), expected, 1e-5, 1e-6));
  expected.square().sum().backward();
  EXPECT_TRUE(at::allclose(both_b, b.grad(), 1e-4, 1e-4));
}

TEST(TiedTargets, ParametersCountAtEachLayerAsInPeft) {
  const Adapted adapted({tied({"words"})});
  EXPECT_EQ(count_parameters(adapted.model).trainable, 2 * 2 * (7 + 4));
}

TEST(TiedTargets, MergedTheLayersStillShareOneWeight) {
  for (const char* dtype : {"float32", "bfloat16"}) {
    Adapted adapted({tied({"words"})}, dtype);
    const at::Tensor before = adapted.run().detach();
    adapted.model.merge({"a"});
    const std::vector<MergedTensor> merged = adapted.model.merged_tensors();
    ASSERT_EQ(merged.size(), 2);
    EXPECT_TRUE(merged[0].merged.is_same(merged[1].merged));
    EXPECT_THAT(adapted.model.merged_but_shared(), IsEmpty());
    EXPECT_TRUE(at::allclose(adapted.run(), before, 0.1, 0.3));
    adapted.model.unmerge();
    EXPECT_TRUE(same(adapted.run(), before));
  }
}

TEST(TiedTargets, MergedWithAnAdapterOnOneLayerTheyPart) {
  Adapted adapted({tied({"words"}), lora("b", {"head"})});
  adapted.model.merge({"a", "b"});
  const std::vector<MergedTensor> merged = adapted.model.merged_tensors();
  ASSERT_EQ(merged.size(), 2);
  EXPECT_FALSE(at::allclose(merged[0].merged, merged[1].merged));
}

TEST(TiedTargets, LayersThatScaleDifferentlyTrainOnePairAndPartWhenMerged) {
  AdapterConfig config = tied({"words"});
  config.method_keys["alpha_pattern"] = testing::patterns({{"head", 1}});
  Adapted adapted({config});
  EXPECT_EQ(adapted.head_b().const_data_ptr(), adapted.a().const_data_ptr());
  const at::Tensor before = adapted.run().detach();
  adapted.model.merge({"a"});
  EXPECT_FALSE(
      adapted.model.merged_tensors()[0].merged.is_same(adapted.model.merged_tensors()[1].merged));
  EXPECT_TRUE(at::allclose(adapted.run(), before, 1e-4, 1e-4));
}

TEST(TiedTargets, MagnitudesOfDoraAreEachLayersOwn) {
  AdapterConfig config = tied({"words"});
  config.method_keys["use_dora"] = true;
  const Adapted adapted({config});
  EXPECT_EQ(adapted.head_b().const_data_ptr(), adapted.a().const_data_ptr());
  EXPECT_EQ(adapted.tensor("words.lora_magnitude_vector").sizes(), at::IntArrayRef({4}));
  EXPECT_EQ(adapted.tensor("head.lora_magnitude_vector").sizes(), at::IntArrayRef({7}));
}

struct Refusal {
  const char* name;
  void (*set)(AdapterConfig& config);
  const char* text;
};

class RefusedTies : public ::testing::TestWithParam<Refusal> {};

TEST_P(RefusedTies, AreToldByName) {
  AdapterConfig config = tied({"words"});
  GetParam().set(config);
  EXPECT_THAT(error_text([&] { plan(config); }), HasSubstr(GetParam().text));
}

INSTANTIATE_TEST_SUITE_P(
    Table, RefusedTies,
    ::testing::Values(
        Refusal{"Start",
                [](AdapterConfig& config) {
                  config.method_keys["init_lora_weights"] = std::string("pissa");
                },
                "`words` and `head` share their weight, and init_lora_weights = \"pissa\" starts "
                "each adapter from its own layer, so ensure_weight_tying cannot tie them; take one "
                "that draws numbers at random"},
        Refusal{"StartFromData",
                [](AdapterConfig& config) {
                  config.method_keys["init_lora_weights"] = std::string("eva");
                },
                "init_lora_weights = \"eva\" starts each adapter from its own layer"},
        Refusal{"Orthogonal",
                [](AdapterConfig& config) {
                  config.method_keys["init_lora_weights"] = std::string("orthogonal");
                },
                "init_lora_weights = \"orthogonal\" starts each adapter from its own layer"},
        Refusal{"Ranks",
                [](AdapterConfig& config) {
                  config.method_keys["rank_pattern"] = testing::patterns({{"head", 1}});
                },
                "`words` and `head` share their weight; rank_pattern gives them different ranks, "
                "so ensure_weight_tying cannot tie their adapters; give both one rank"},
        Refusal{"Excluded", [](AdapterConfig& config) { config.exclude_modules = {"head"}; },
                "`head` and `words` share their weight, and ensure_weight_tying adapts both, but "
                "the first is in exclude_modules; take it out, or leave ensure_weight_tying out"},
        Refusal{"Saved", [](AdapterConfig& config) { config.modules_to_save = {"head"}; },
                "`head` and `words` share their weight, and ensure_weight_tying is set: the second "
                "cannot be in target_modules too"},
        Refusal{"Parameters",
                [](AdapterConfig& config) { config.target_parameters = {"head.weight"}; },
                "`head.weight` in target_parameters belongs to `head`, which target_modules adapts "
                "as a whole"}),
    [](const auto& each) { return each.param.name; });

AdapterConfig saved_with(SavedTies ties) {
  AdapterConfig config = tied({"words"});
  config.optional_keys = {"target_modules"};
  config.saved_ties = std::move(ties);
  return config;
}

TEST(TiedTargets, OfASavedAdapterThoseAreTiedWhoseTensorsAre) {
  const InjectionPlan planned =
      plan(saved_with({{"words", "head"}, {{"words", "head"}, {"head", "words"}}}));
  EXPECT_EQ(planned.layers.at(1).tied_to, planned.layers.at(0).module);
  EXPECT_TRUE(planned.config.ensure_weight_tying);
  EXPECT_THAT(planned.notes, IsEmpty());
}

TEST(TiedTargets, ASavedAdapterThatWasTrainedApartStaysSo) {
  const InjectionPlan planned = plan(saved_with({{"words", "head"}, {}}));
  ASSERT_EQ(planned.layers.size(), 2);
  EXPECT_EQ(planned.layers[1].tied_to, kNoModule);
  EXPECT_FALSE(planned.config.ensure_weight_tying);
  EXPECT_THAT(planned.notes, ::testing::Contains(HasSubstr("they were trained apart")));
}

TEST(TiedTargets, ASavedAdapterOnOneLayerAloneStaysSo) {
  const InjectionPlan planned = plan(saved_with({{"words"}, {}}));
  EXPECT_EQ(planned.layers.size(), 1);
  EXPECT_FALSE(planned.config.ensure_weight_tying);
  EXPECT_THAT(planned.notes, ::testing::Contains(HasSubstr("the adapter is on one of them alone")));
}

}  // namespace
}  // namespace tenon
