#include "plan/quantized_base.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "declared/declared_model.h"
#include "quantize/packed_tensor.h"
#include "support/error_matchers.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;

ModelConfig three_layers() {
  ModelConfig config;
  config.layers = {{"table",
                    "Embedding",
                    {{"num_embeddings", std::int64_t{10}}, {"embedding_dim", std::int64_t{64}}},
                    ""},
                   {"one",
                    "Linear",
                    {{"in_features", std::int64_t{64}}, {"out_features", std::int64_t{32}}},
                    ""},
                   {"between.two",
                    "Linear",
                    {{"in_features", std::int64_t{32}}, {"out_features", std::int64_t{16}}},
                    ""},
                   {"last",
                    "Linear",
                    {{"in_features", std::int64_t{16}}, {"out_features", std::int64_t{4}}},
                    ""}};
  config.quantize = "nf4";
  return config;
}

std::vector<std::string> quantised(const ModelConfig& config,
                                   const std::vector<AdapterConfig>& adapters = {}) {
  ModelData model = build_declared_model(config);
  quantize_base(model, config, adapters);
  std::vector<std::string> names;
  for (const ModelTensor& tensor : model.tensors) {
    if (is_packed(tensor.tensor)) names.push_back(tensor.name);
  }
  return names;
}

TEST(QuantizedBase, LinearLayersAreMeantButTheOutput) {
  EXPECT_THAT(quantised(three_layers()), ElementsAre("one.weight", "between.two.weight"));
}

TEST(QuantizedBase, WhatIsTrainedWholeStays) {
  AdapterConfig adapter;
  adapter.modules_to_save = {"between"};
  EXPECT_THAT(quantised(three_layers(), {adapter}), ElementsAre("one.weight"));
}

TEST(QuantizedBase, RulesNameOthers) {
  ModelConfig config = three_layers();
  config.quantize_modules = {"table", "last", "two"};
  EXPECT_THAT(quantised(config), ElementsAre("table.weight", "between.two.weight", "last.weight"));
  config.quantize_exclude = ModuleRule(".*two");
  EXPECT_THAT(quantised(config), ElementsAre("table.weight", "last.weight"));
}

TEST(QuantizedBase, NothingIsMeantWithoutAFormat) {
  ModelConfig config = three_layers();
  config.quantize = "none";
  EXPECT_THAT(quantised(config), ElementsAre());
}

TEST(QuantizedBase, RulesThatMeanNothingAreNamedTogether) {
  ModelConfig config = three_layers();
  config.quantize_modules = {"one", "tow"};
  config.quantize_exclude = {"three"};
  EXPECT_THAT(error_text([&] { quantised(config); }), HasSubstr("[model] quantize = \"nf4\":"));
  EXPECT_THAT(error_text([&] { quantised(config); }), HasSubstr("`tow`"));
  EXPECT_THAT(error_text([&] { quantised(config); }), HasSubstr("`three`"));
}

TEST(QuantizedBase, ModulesThatAreTrainedWholeCannotBeNamed) {
  ModelConfig config = three_layers();
  config.quantize_modules = {"one"};
  AdapterConfig adapter;
  adapter.modules_to_save = {"one"};
  EXPECT_THAT(error_text([&] { quantised(config, {adapter}); }),
              HasSubstr("`one` in quantize_modules is trained by modules_to_save"));
}

TEST(QuantizedBase, WeightsThatAreNotFiniteAreNamed) {
  const ModelConfig config = three_layers();
  ModelData model = build_declared_model(config);
  for (ModelTensor& tensor : model.tensors) {
    if (tensor.name == "one.weight") tensor.tensor.detach()[3][5] = INFINITY;
  }
  EXPECT_THAT(error_text([&] { quantize_base(model, config, {}); }),
              HasSubstr("NaNs or infinities in `one.weight`, which is to be quantised"));
}

}  // namespace
}  // namespace tenon
