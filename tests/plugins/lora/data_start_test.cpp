#include "start/data_start.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "declared/declared_model.h"
#include "plan/factor_keys.h"
#include "support/adapter_keys.h"
#include "support/error_matchers.h"
#include "support/lora_model.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using testing::lora;
using ::testing::Pair;

AdapterConfig adapter(const std::string& init, std::vector<std::string> targets) {
  AdapterConfig config = lora("a", std::move(targets));
  config.method_keys["init_lora_weights"] = std::string(init);
  return config;
}

// Two Linear layers, one after the other.
ModelData two_layers(const std::string& first, const std::string& second) {
  ModelConfig config;
  const auto add = [&](const std::string& name, std::int64_t in, std::int64_t out) {
    config.layers.push_back({name, "Linear", {{"in_features", in}, {"out_features", out}}, "test"});
  };
  add(first, 6, 8);
  add(second, 8, 8);
  return build_declared_model(config);
}

// An adapter started from rows that lie about on a line.
struct Started {
  ModelData model;
  Dataset data;
  TrainConfig train;

  explicit Started(ModelData made = two_layers("first", "second"), std::int64_t batch_size = 16)
      : model(std::move(made)) {
    constexpr std::int64_t kRows = 64;
    const at::Tensor along = at::linspace(-1, 1, kRows, at::kFloat);
    data.inputs = {at::outer(along, at::tensor({0.0F, 3.0F, 0.0F, 0.0F, 4.0F, 0.0F})) + 0.5};
    data.inputs[0].select(1, 0) += 0.01 * at::sin(50 * along);
    data.target = at::zeros({kRows}, at::kLong);
    data.rows = kRows;
    train.batch_size = batch_size;
  }
  at::Tensor weight(const std::string& name) const {
    return std::ranges::find(model.tensors, name, &ModelTensor::name)->tensor;
  }
  DataStart start(const AdapterConfig& config) const {
    return start_from_data(model, plan_injection(model, config, testing::built_in_plugins()),
                           {data, train});
  }
};

TEST(StartFromData, EvaPutsTheMainDirectionOfTheInputsFirst) {
  const DataStart start = Started().start(adapter("eva", {"first"}));
  const at::Tensor a = start.given.at("first").parameters.at("lora_A.weight");
  EXPECT_EQ(a.sizes(), at::IntArrayRef({2, 6}));
  EXPECT_TRUE(at::allclose(a[0], at::tensor({0.0F, 0.6F, 0.0F, 0.0F, 0.8F, 0.0F}), 0, 1e-2));
  EXPECT_THAT(start.given.at("first").residuals, ::testing::IsEmpty());
}

TEST(StartFromData, EvaDealsTheRanksAndKeepsTheirScaling) {
  AdapterConfig config = adapter("eva", {"first", "second"});
  const DataStart start = Started().start(config);
  std::int64_t sum = 0;
  for (const auto& [path, given] : start.given) {
    sum += given.parameters.at("lora_A.weight").size(0);
  }
  EXPECT_EQ(sum, 2 * 2);
  const FactorKeys keys(*testing::built_in_plugins().methods().find("lora"),
                        start.config.method_keys);
  const auto ranks = keys.rank_pattern();
  const auto alphas = keys.alpha_pattern();
  ASSERT_EQ(ranks.size(), alphas.size());
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    EXPECT_DOUBLE_EQ(alphas[i].second / static_cast<double>(ranks[i].second), 2);
  }
}

TEST(StartFromData, EvaKeepsLoraAlphaIfItIsTo) {
  AdapterConfig config = adapter("eva", {"first", "second"});
  config.method_keys["eva_config"] = testing::table({{"adjust_scaling_factors", false}});
  EXPECT_EQ(Started().start(config).config.method_keys.at("alpha_pattern"), testing::patterns({}));
}

TEST(StartFromData, EvaLeavesALayerOutWhoseInputsDoNotVary) {
  const Started started;
  started.weight("first.weight").zero_();
  const DataStart start = started.start(adapter("eva", {"first", "second"}));
  EXPECT_THAT(start.given, ElementsAre(Pair("first", ::testing::_)));
  EXPECT_EQ(start.config.target_modules, ModuleRule(std::vector<std::string>{"first"}));
  EXPECT_EQ(start.config.method_keys.at("rank_pattern"), testing::patterns({{"^first", 4}}));
  EXPECT_EQ(start.config.method_keys.at("alpha_pattern"), testing::patterns({{"^first", 8}}));
  EXPECT_THAT(start.notes, ElementsAre(HasSubstr("EVA leaves no rank for `second`")));
}

TEST(StartFromData, WhatIsLeftOutStaysOutThoughItsNameEndsAlike) {
  const Started started(two_layers("x", "a.x"));
  started.weight("x.weight").zero_();
  const DataStart start = started.start(adapter("eva", {"x"}));
  EXPECT_EQ(start.config.target_modules, ModuleRule("^x"));
  const InjectionPlan plan =
      plan_injection(started.model, start.config, testing::built_in_plugins());
  ASSERT_EQ(plan.layers.size(), 1);
  EXPECT_EQ(plan.layers[0].facts->description().module_path, "x");
}

TEST(StartFromData, EvaNeedsAsManyRowsInABatchAsDirections) {
  AdapterConfig config = adapter("eva", {"first"});
  config.method_keys["eva_config"] = testing::table({{"rho", 3.0}});
  EXPECT_THAT(error_text([&] { Started(two_layers("first", "second"), 4).start(config); }),
              HasSubstr("`first` got no batch of the 6 rows that it needs"));
}

TEST(StartFromData, EvaRefusesARankBeyondTheFeatures) {
  AdapterConfig config = adapter("eva", {"first"});
  config.method_keys["r"] = std::int64_t{4};
  EXPECT_THAT(error_text([&] { Started().start(config); }),
              HasSubstr("`first` has inputs of 6 features, and its rank may be 8\n  lower r"));
}

TEST(StartFromData, EvaTellsInputsThatAreNotFinite) {
  Started started;
  started.data.inputs[0].select(1, 0) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(error_text([&] { started.start(adapter("eva", {"first"})); }),
              HasSubstr("the inputs of `first` are not finite"));
}

TEST(StartFromData, CordaKeepsWhatTheLayerComputes) {
  for (const std::string method : {"ipm", "kpm"}) {
    AdapterConfig config = adapter("corda", {"first"});
    config.method_keys["corda_config"] = testing::table({{"corda_method", method}});
    const Started started;
    const DataStart start = started.start(config);
    const GivenStart& given = start.given.at("first");
    const at::Tensor product =
        given.parameters.at("lora_B.weight").matmul(given.parameters.at("lora_A.weight"));
    const at::Tensor weight = started.weight("first.weight");
    ASSERT_EQ(given.residuals.size(), 1);
    EXPECT_TRUE(at::allclose(given.residuals[0].second + 2 * product, weight, 0, 1e-5)) << method;
    EXPECT_GT(product.abs().max().item<float>(), 1e-3) << method;
  }
}

TEST(StartFromData, CordaTakesFirstWhatTheInputsSpeakOf) {
  AdapterConfig config = adapter("corda", {"first"});
  config.method_keys["r"] = std::int64_t{1};
  const Started started;
  const auto change = [&](const std::string& method) {
    config.method_keys["corda_config"] = testing::table({{"corda_method", method}});
    const DataStart start = started.start(config);
    const GivenStart& given = start.given.at("first");
    const at::Tensor product =
        given.parameters.at("lora_B.weight").matmul(given.parameters.at("lora_A.weight"));
    return started.data.inputs[0].matmul(product.t()).norm().item<float>();
  };
  EXPECT_GT(change("ipm"), 10 * change("kpm"));
}

TEST(StartFromData, CordaRefusesARankBeyondTheMatrix) {
  AdapterConfig config = adapter("corda", {"first"});
  config.method_keys["r"] = std::int64_t{7};
  EXPECT_THAT(error_text([&] { Started().start(config); }),
              HasSubstr("`first` has rank 6 at most, not 7"));
}

TEST(StartFromData, TargetParametersAreRefused) {
  AdapterConfig config = adapter("eva", {});
  config.target_modules = {};
  config.target_parameters = {"first.weight"};
  EXPECT_THAT(error_text([&] { Started().start(config); }),
              HasSubstr("init_lora_weights = \"eva\" cannot start target_parameters"));
}

}  // namespace
}  // namespace tenon
