// What an adapter's folder holds is the adapter: for every layer type, method and key that selects
// layers, a model of the same base that loads it gives the same output, bit for bit.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "adapter/twin_modules.h"
#include "declared/declared_model.h"
#include "operations/adapter_stages.h"
#include "support/error_matchers.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempDir;

const PluginRegistry& all_plugins() {
  static const PluginRegistry plugins({}, {TENON_TEST_PLUGINS});
  return plugins;
}

struct Kind {
  const char* method;
  const char* type;
  OptionTable arguments;
  at::Tensor input;
};

std::vector<Kind> kinds() {
  const auto numbers = [](at::IntArrayRef sizes) {
    return at::sin(at::arange(c10::multiply_integers(sizes), at::kFloat)).reshape(sizes);
  };
  const std::int64_t width = 4;
  const OptionTable convolution{{"in_channels", width},
                                {"out_channels", width},
                                {"kernel_size", std::int64_t{3}},
                                {"padding", std::int64_t{1}}};
  const OptionTable recurrent{{"input_size", width}, {"hidden_size", width}, {"batch_first", true}};
  return {{"lora", "Linear", {{"in_features", width}, {"out_features", width}}, numbers({3, 4})},
          {"lora", "Conv1d", convolution, numbers({2, 4, 5})},
          {"lora", "Conv2d", convolution, numbers({2, 4, 5, 5})},
          {"lora", "LSTM", recurrent, numbers({2, 3, 4})},
          {"lora", "GRU", recurrent, numbers({2, 3, 4})},
          {"ia3", "Linear", {{"in_features", width}, {"out_features", width}}, numbers({3, 4})},
          {"ia3", "Conv2d", convolution, numbers({2, 4, 5, 5})},
          {"ln_tuning",
           "LayerNorm",
           {{"normalized_shape", std::vector<std::int64_t>{4}}},
           numbers({3, 4})}};
}

// Layers of one kind, one after the other, and an activation among them.
ModelData model_of(const Kind& kind) {
  ModelConfig config;
  config.seed = 3;
  for (const char* name : {"net.layers.0.fc", "net.layers.0.xfc", "net.layers.1.fc",
                           "net.layers.1.xfc", "fc", "lm_fc"}) {
    config.layers.push_back({name, kind.type, kind.arguments, "test"});
  }
  config.layers.push_back({"net.layers.1.act", "Tanh", {}, "test"});
  return build_declared_model(config);
}

std::vector<AdapterConfig> configs(const std::string& method) {
  const auto make = [&](ModuleRule targets) {
    AdapterConfig config;
    config.method = method;
    config.target_modules = std::move(targets);
    if (method == "lora") config.method_keys["r"] = std::int64_t{2};
    return config;
  };
  AdapterConfig layers = make({"fc"});
  layers.layers_to_transform = {1};
  layers.layers_pattern = {"layers"};
  AdapterConfig first = make({"xfc", "fc"});
  first.layers_to_transform = {0};
  AdapterConfig excluded = make({"fc"});
  excluded.exclude_modules = {"layers.0.fc"};
  AdapterConfig root = make(Regex{"fc|net\\.layers\\.1\\.xfc"});
  AdapterConfig twin = make({"layers.0.fc"});
  twin.modules_to_save = {"layers.1.fc"};
  AdapterConfig root_twin = make({"layers.0.xfc"});
  root_twin.modules_to_save = {"lm_fc"};
  AdapterConfig skipped = make({"fc", "act"});
  skipped.skip_unsupported = true;
  std::vector<AdapterConfig> all{make({"xfc"}), layers, first,     excluded,
                                 root,          twin,   root_twin, skipped};
  if (method != "ia3") return all;
  AdapterConfig forward = make({"fc", "xfc"});
  forward.method_keys["feedforward_modules"] = std::vector<std::string>{"fc"};
  all.push_back(forward);
  forward.layers_to_transform = {1};
  all.push_back(forward);
  return all;
}

at::Tensor output_of(const AdaptedModel& model, const Kind& kind) {
  const at::NoGradGuard no_grad;
  return model.forward({kind.input}, {}).at(0);
}

std::string described(const Kind& kind, std::size_t config) {
  return std::string(kind.method) + " on " + kind.type + ", config " + std::to_string(config);
}

TEST(Selection, WhatIsSavedIsWhatIsLoadedByEveryKeyOfEveryMethod) {
  for (const Kind& kind : kinds()) {
    const at::Tensor base = output_of(AdaptedModel(model_of(kind)), kind);
    const std::vector<AdapterConfig> all = configs(kind.method);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::string what = described(kind, i);
      AdaptedModel model(model_of(kind));
      add_adapters(model, {all[i]}, all_plugins(), {.seed = 1});
      {
        const at::NoGradGuard no_grad;
        at::manual_seed(static_cast<std::uint64_t>(i));
        for (const at::Tensor& tensor : model.trainable())
          tensor.add_(at::randn_like(tensor) * 0.3);
      }
      const at::Tensor expected = output_of(model, kind);
      EXPECT_FALSE(at::equal(expected, base)) << what;
      const TempDir dir;
      save_adapters(model, dir / "own", false);
      AdaptedModel loaded =
          with_adapters(model_of(kind), {{"default", dir / "own"}}, all_plugins());
      EXPECT_TRUE(at::equal(output_of(loaded, kind), expected)) << what;
      AdapterConfig again;
      again.method = kind.method;
      again.init_from = dir / "own";
      AdaptedModel continued(model_of(kind));
      add_adapters(continued, {again}, all_plugins(), {.seed = 2});
      EXPECT_TRUE(at::equal(output_of(continued, kind), expected)) << what;
      EXPECT_EQ(continued.trainable().size(), model.trainable().size()) << what;
    }
  }
}

TEST(Selection, AModuleToSaveBringsTheTwinThatPeftTakesAndLeavesItOutAgain) {
  const Kind kind = kinds().front();
  AdapterConfig config;
  config.method_keys["r"] = std::int64_t{2};
  config.target_modules = {"layers.1.xfc"};
  config.modules_to_save = {"net.layers.0.fc"};
  AdaptedModel model(model_of(kind));
  add_adapters(model, {config}, all_plugins(), {});
  EXPECT_THAT(twin_modules(model.model(), model.adapter()), ::testing::IsEmpty());

  AdapterConfig root = config;
  root.modules_to_save = {"lm_fc"};
  AdaptedModel other(model_of(kind));
  add_adapters(other, {root}, all_plugins(), {});
  EXPECT_THAT(other.adapter().saved, ElementsAre("lm_fc"));
}

TEST(Selection, ATwinIsInTheFileAsTheBaseHasItAndToldWherePeftCannotLoadIt) {
  ModelConfig config;
  const OptionTable square{{"in_features", std::int64_t{4}}, {"out_features", std::int64_t{4}}};
  for (const char* name : {"body", "aux_head", "head"}) {
    config.layers.push_back({name, "Linear", square, "test"});
  }
  AdapterConfig adapter;
  adapter.method_keys["r"] = std::int64_t{2};
  adapter.target_modules = {"body"};
  adapter.modules_to_save = {"head"};
  AdaptedModel model(build_declared_model(config));
  EXPECT_THAT(add_adapters(model, {adapter}, all_plugins(), {}), ::testing::IsEmpty());
  EXPECT_THAT(twin_modules(model.model(), model.adapter()), ElementsAre("aux_head"));
  const AdapterFiles files = adapter_files(model, model.adapter());
  const auto keys = [](const AdapterFiles& of) {
    std::vector<std::string> names;
    for (const AdapterTensor& tensor : of.tensors) names.push_back(tensor.key);
    return names;
  };
  EXPECT_THAT(keys(files), ::testing::Contains("aux_head.weight"));
  AdapterFiles read = files;
  leave_out_twins(model.model(), read);
  EXPECT_THAT(keys(read), ::testing::Not(::testing::Contains("aux_head.weight")));
  EXPECT_THAT(read.config.not_saved, ElementsAre("aux_head"));

  adapter.target_modules = {"body", "aux_head"};
  AdaptedModel told(build_declared_model(config));
  EXPECT_THAT(add_adapters(told, {adapter}, all_plugins(), {}),
              ElementsAre(HasSubstr("PEFT cannot load this adapter")));
}

TEST(Selection, ModulesToSaveOfAHalfPrecisionBaseAreTrainedInFloat) {
  ModelConfig config;
  config.dtype = "bfloat16";
  const OptionTable square{{"in_features", std::int64_t{4}}, {"out_features", std::int64_t{4}}};
  for (const char* name : {"body", "head"}) {
    config.layers.push_back({name, "Linear", square, "test"});
  }
  AdapterConfig adapter;
  adapter.method_keys["r"] = std::int64_t{2};
  adapter.target_modules = {"body"};
  adapter.modules_to_save = {"head"};
  const auto dtype_of = [&](bool wide) {
    adapter.autocast_adapter_dtype = wide;
    AdaptedModel model(build_declared_model(config));
    add_adapters(model, {adapter}, all_plugins(), {});
    const at::Tensor input = at::ones({2, 4}, at::kBFloat16);
    const at::Tensor output = model.forward({input}, {.training = true}).at(0);
    EXPECT_EQ(output.scalar_type(), at::kBFloat16);
    output.sum().backward();
    for (const AdapterTensor& tensor : adapter_files(model, model.adapter()).tensors) {
      if (tensor.key != "head.weight") continue;
      EXPECT_EQ(tensor.tensor.scalar_type(), at::kBFloat16);
    }
    for (const AddedTensor& added : model.adapter().tensors) {
      if (added.key() != "head.weight") continue;
      EXPECT_TRUE(added.tensor.grad().defined());
      return added.tensor.scalar_type();
    }
    return at::kLong;
  };
  EXPECT_EQ(dtype_of(true), at::kFloat);
  EXPECT_EQ(dtype_of(false), at::kBFloat16);
}

TEST(Selection, StatisticsThatTrainingChangesAreSavedWithFrozenWeights) {
  ModelConfig config;
  const OptionTable square{{"in_features", std::int64_t{4}}, {"out_features", std::int64_t{4}}};
  config.layers = {{"body", "Linear", square, "test"},
                   {"norm", "BatchNorm1d", {{"num_features", std::int64_t{4}}}, "test"}};
  AdapterConfig adapter;
  adapter.method_keys["r"] = std::int64_t{2};
  adapter.target_modules = {"body"};
  AdaptedModel model(build_declared_model(config));
  add_adapters(model, {adapter}, all_plugins(), {.train_statistics = true});
  EXPECT_THAT(model.adapter().saved, ElementsAre("norm"));
  EXPECT_EQ(model.trainable().size(), 2U);
  const at::Tensor input = at::sin(at::arange(32, at::kFloat)).reshape({8, 4}) + 3;
  model.forward({input}, {.training = true, .batch_norm_training = true});
  const at::Tensor expected = model.forward({input}, {}).at(0);
  const TempDir dir;
  save_adapters(model, dir / "own", false);
  const AdaptedModel loaded =
      with_adapters(build_declared_model(config), {{"default", dir / "own"}}, all_plugins());
  EXPECT_TRUE(at::equal(loaded.forward({input}, {}).at(0), expected));
}

}  // namespace
}  // namespace tenon
