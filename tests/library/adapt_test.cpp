#include <tenon/adapt.h>
// The header comes first, to show that it needs no other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/optim/adamw.h>

#include <algorithm>
#include <fstream>

#include "capture/model_cases.h"
#include "support/temp_dir.h"
#include "support/test_data.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The guide's MLP with the guide's settings (PEFT: "Custom models").
AdapterConfig guide_config(std::vector<std::string> targets, std::vector<std::string> saved) {
  AdapterConfig config;
  config.target_modules = std::move(targets);
  config.modules_to_save = std::move(saved);
  return config;
}

// A few steps on a fixed batch; returns the last output.
template <typename Module>
Tensor train(Module& adapted, const Tensor& x, const Tensor& labels, int steps = 5) {
  torch::optim::AdamW optimizer(adapted.parameters(), torch::optim::AdamWOptions(2e-2));
  for (int step = 0; step < steps; ++step) {
    optimizer.zero_grad();
    at::nll_loss(adapted.forward({x}), labels).backward();
    optimizer.step();
  }
  const at::NoGradGuard no_grad;
  return adapted.forward({x});
}

TEST(Adapt, TrainsByTheKeysOfAConfigAsAnOptimizerOfTheUsersWould) {
  Mlp model(64);
  const Tensor x = at::randn({8, 20});
  const Tensor labels = at::randint(2, {8}, at::kLong);
  auto one = adapt(model, {x}, guide_config({"first", "second"}, {"last"}));
  auto other = adapt(model, {x}, guide_config({"first", "second"}, {"last"}));
  one.train();
  const Tensor wanted = train(one, x, labels);
  TrainConfig config;
  config.loss = "nll";
  config.learning_rate = 2e-2;
  config.steps = 5;
  config.batch_size = 8;
  config.shuffle = false;
  const TrainReport report = tenon::train(other, {.inputs = {x}, .target = labels}, config);
  EXPECT_EQ(report.losses.size(), 5U);
  EXPECT_LT(report.losses.back(), report.losses.front());
  EXPECT_TRUE(at::allclose(other.forward({x}), wanted, 1e-4, 1e-5));
  config.steps.reset();
  config.epochs = 1;
  config.batch_size = 3;
  config.max_grad_norm = 0.1;
  EXPECT_EQ(tenon::train(other, {.inputs = {x}, .target = labels}, config).grad_norms.size(), 3U);
}

TEST(Adapt, TrainsTheGuidesMlpAndMergesItIntoTheUsersModel) {
  Mlp model(2000);
  const Tensor x = at::randn({8, 20});
  const Tensor labels = at::randint(2, {8}, at::kLong);
  const Tensor before = model(x).detach();
  auto adapted = adapt(model, {x}, guide_config({"first", "second"}, {"last"}));
  EXPECT_THAT(adapted.targeted_module_names(), ElementsAre("first", "second"));
  // PEFT's own line for this model.
  EXPECT_EQ(adapted.trainable_parameters(),
            "trainable params: 52,162 || all params: 4,100,164 || trainable%: 1.2722");
  EXPECT_TRUE(at::equal(model(x), before));

  const Tensor after = train(adapted, x, labels);
  EXPECT_FALSE(at::allclose(after, before));
  EXPECT_TRUE(at::equal(model(x), before)) << "the base changed before merging";

  adapted.merge_into_model();
  EXPECT_TRUE(at::allclose(model(x), after, 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(adapted.forward({x}), after, 1e-4, 1e-5));
  adapted.unmerge_from_model();
  EXPECT_TRUE(at::equal(model(x), before)) << "unmerging is not exact";
}

TEST(Adapt, TellsWhatIsOnEachLayer) {
  Mlp model(64);
  const Tensor x = at::randn({8, 20});
  auto adapted = adapt(model, {x}, guide_config({"first"}, {"last"}));
  adapted.merge_into_model();
  const ModelStatus status = adapted.status();
  ASSERT_EQ(status.layers.size(), 2);
  EXPECT_EQ(status.layers[0].name, "first");
  EXPECT_EQ(status.layers[0].plugin, "tenon.lora-linear");
  EXPECT_EQ(status.layers[0].trained.at("default"), Trained::kAll);
  EXPECT_THAT(status.layers[1].merged, ElementsAre("default"));
  adapted.unmerge_from_model();
  EXPECT_TRUE(adapted.status().merged.empty());
}

TEST(Adapt, BothWaysOfWritingTheMlpGiveTheSameNumbers) {
  Mlp typed(64);
  torch::nn::Sequential sequential = sequential_mlp(64);
  {
    const at::NoGradGuard no_grad;
    const auto from = typed->parameters();
    const auto to = sequential->parameters();
    for (std::size_t i = 0; i < from.size(); ++i) to[i].copy_(from[i]);
  }
  const Tensor x = at::randn({8, 20});
  const Tensor labels = at::randint(2, {8}, at::kLong);
  auto one = adapt(typed, {x}, guide_config({"first", "second"}, {"last"}));
  auto other = adapt(sequential, {x}, guide_config({"0", "2"}, {"4"}));
  EXPECT_EQ(one.trainable_parameters(), other.trainable_parameters());
  EXPECT_TRUE(at::equal(train(one, x, labels), train(other, x, labels)));
}

TEST(Adapt, SavedAdapterStartsAnotherModel) {
  const testing::TempDir folder;
  Mlp model;
  const Tensor x = at::randn({8, 20});
  auto adapted = adapt(model, {x}, guide_config({"first"}, {"last"}));
  const Tensor after = train(adapted, x, at::randint(2, {8}, at::kLong));
  adapted.save(folder.path() / "adapter");

  AdapterConfig config;
  config.init_from = folder.path() / "adapter";
  const auto loaded = adapt(model, {x}, config);
  EXPECT_TRUE(at::equal(loaded.forward({x}), after));
}

TEST(Adapt, ConfigMayBeATomlFile) {
  const testing::TempDir folder;
  const std::filesystem::path file = folder.path() / "lora.toml";
  std::ofstream(file) << "[adapter]\nr = 4\ntarget_modules = [\"first\"]\n";
  Mlp model;
  const auto adapted = adapt(model, {at::randn({2, 20})}, file);
  EXPECT_THAT(adapted.named_parameters()[0].first, "first.lora_A.weight");
  EXPECT_EQ(adapted.named_parameters()[0].second.size(0), 4);
}

TEST(Adapt, ForwardGivesWhatTheModelsOwnGives) {
  const auto attention = std::make_shared<SelfAttentionImpl>();
  AdapterConfig config;
  config.target_modules = {"attention"};
  const Tensor x = at::randn({5, 3, 8});
  auto adapted = adapt(attention, {x}, config);
  const auto [own, own_weights] = attention->forward(x);
  const auto [output, weights] = adapted.forward({x});
  EXPECT_TRUE(at::allclose(own, output, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(own_weights, weights, 1e-5, 1e-6));

  const auto many = std::make_shared<ManyWaysImpl>();
  config.target_modules = {"first"};
  const auto named = adapt(many, {at::randn({3, 3}), at::randn({3, 4})}, config);
  EXPECT_THAT(named.forward({at::randn({2, 3}), at::randn({2, 4})}).at("b").sizes(),
              ElementsAre(2, 2));
}

TEST(Adapt, FunctionMayCallAModelThatTakesMoreThanTensors) {
  struct Scaled : torch::nn::Module {
    Tensor forward(const Tensor& x, double factor) { return fc(x) * factor; }
    torch::nn::Linear fc = register_module("fc", torch::nn::Linear(3, 3));
  };
  Scaled model;
  AdapterConfig config;
  config.target_modules = {"fc"};
  const Tensor x = at::randn({4, 3});
  auto adapted = adapt(
      model, [&](const Tensor& input) { return model.forward(input, 0.5); }, {x}, config);
  EXPECT_TRUE(at::allclose(adapted.forward({x}), model.forward(x, 0.5), 1e-5, 1e-6));
}

TEST(Adapt, CallersModeDoesNotMatter) {
  Mlp model;
  const Tensor x = at::randn({4, 20});
  const auto adapt_here = [&] { return adapt(model, {x}, guide_config({"first"}, {"last"})); };
  const auto in_inference = [&] {
    const c10::InferenceMode inference;
    return adapt_here();
  };
  const auto without_gradients = [&] {
    const at::NoGradGuard no_grad;
    return adapt_here();
  };
  for (auto adapted : {in_inference(), without_gradients()}) {
    EXPECT_FALSE(at::equal(train(adapted, x, at::randint(2, {4}, at::kLong)), model(x)));
  }
}

struct HeadImpl : nn::Module {
  explicit HeadImpl(const Tensor& shared) : weight(register_parameter("weight", shared)) {}
  Tensor forward(const Tensor& x) { return at::linear(x, weight); }
  Tensor weight;
};
TORCH_MODULE(Head);

// The embedding's weight is the head's.
struct TiedLm : nn::Module {
  Tensor forward(const Tensor& ids) { return head(mid(embedding(ids))); }
  nn::Embedding embedding = register_module("embedding", nn::Embedding(7, 4));
  nn::Linear mid = register_module("mid", nn::Linear(4, 4));
  Head head = register_module("head", Head(embedding->weight));
};

TEST(Adapt, TiedLayersAreMergedIntoTheirOneWeightAndTakenOutBitForBit) {
  at::manual_seed(1);
  TiedLm model;
  const Tensor ids = at::arange(6).reshape({2, 3});
  const Tensor before = model.forward(ids).detach();
  AdapterConfig config = guide_config({"embedding"}, {});
  config.ensure_weight_tying = true;
  config.init_lora_weights = "random";
  const std::function<Tensor(const Tensor&)> forward = [&](const Tensor& x) {
    return model.forward(x);
  };
  auto adapted = adapt(model, forward, {ids}, config);
  EXPECT_THAT(adapted.targeted_module_names(), ElementsAre("embedding", "head"));
  const Tensor after = adapted.forward({ids}).detach();
  EXPECT_FALSE(at::allclose(after, before, 1e-2, 1e-2));
  adapted.merge_into_model();
  EXPECT_TRUE(at::allclose(model.forward(ids), after, 1e-3, 1e-3));
  adapted.unmerge_from_model();
  EXPECT_TRUE(at::equal(model.forward(ids), before));
}

TEST(Adapt, ExportedProgramIsTrainedMergedAndSavedLikeAModel) {
  at::manual_seed(1);
  const testing::TempDir folder;
  const std::filesystem::path program = testing::test_data("mlp.pt2");
  AdapterConfig config;
  config.target_modules = "all-linear";
  auto adapted = adapt_program(program, config);
  const Tensor x = at::randn({3, 4});
  const Tensor before = adapted.forward({x})[0].detach();
  torch::optim::AdamW optimizer(adapted.parameters(), torch::optim::AdamWOptions(2e-2));
  for (int step = 0; step < 5; ++step) {
    optimizer.zero_grad();
    adapted.forward({x})[0].square().sum().backward();
    optimizer.step();
  }
  const at::NoGradGuard no_grad;
  const Tensor after = adapted.forward({x})[0];
  EXPECT_FALSE(at::allclose(after, before));
  adapted.merge_into_model();
  EXPECT_TRUE(at::allclose(adapted.forward({x})[0], after, 1e-4, 1e-5));
  adapted.save(folder.path() / "adapter");
  adapted.unmerge_from_model();
  EXPECT_TRUE(at::equal(adapted.forward({x})[0], after));

  config = {};
  config.init_from = folder.path() / "adapter";
  EXPECT_TRUE(at::equal(adapt_program(program, config).forward({x})[0], after));
}

TEST(Adapt, WrongNumbersInTheConfigAreToldAllAtOnce) {
  AdapterConfig config;
  config.target_modules = {"first"};
  config.r = 0;
  config.lora_dropout = 1.5;
  config.bias = "some";
  config.init_lora_weights = "zeros";
  try {
    adapt(Mlp(), {at::randn({2, 20})}, config);
    FAIL() << "adapted";
  } catch (const Error& error) {
    EXPECT_THAT(
        error.what(),
        ::testing::AllOf(HasSubstr("AdapterConfig has 4 problems"),
                         HasSubstr("`r` must be at least 1, not 0"),
                         HasSubstr("`lora_dropout` must be at least 0 and below 1, not 1.5"),
                         HasSubstr("`bias` must be none, all or lora_only, not `some`"),
                         HasSubstr("not `zeros`")));
  }
}

TEST(Adapt, ModelThatIsNotThereIsToldBeforeItIsRun) {
  AdapterConfig config;
  config.target_modules = {"first"};
  try {
    adapt(std::shared_ptr<MlpImpl>(), {at::randn({2, 20})}, config);
    FAIL() << "adapted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the pointer to the module is null"));
  }
}

TEST(Adapt, WrongTargetIsToldWithTheNearestName) {
  Mlp model;
  try {
    adapt(model, {at::randn({2, 20})}, guide_config({"firts"}, {}));
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("first"));
  }
}

TEST(Adapt, StartsAnAdapterFromExamples) {
  for (const std::string init : {"eva", "corda"}) {
    Mlp model;
    const Tensor x = at::randn({64, 20});
    const Tensor before = model->forward(x);
    AdapterConfig config;
    config.target_modules = {"first"};
    config.init_lora_weights = init;
    auto adapted = adapt(model, {x}, config, {.start_inputs = {x}});
    EXPECT_TRUE(at::allclose(adapted.forward({x}), before, 1e-4, 1e-4)) << init;
    const testing::TempDir folder;
    adapted.save(folder.path() / "adapter");
    AdapterConfig again;
    again.init_from = folder.path() / "adapter";
    EXPECT_TRUE(at::allclose(adapt(model, {x}, again).forward({x}), before, 1e-4, 1e-4)) << init;
  }
}

TEST(Adapt, ExamplesToStartFromAreCalledForAndChecked) {
  const auto told = [](const std::string& init, std::vector<Tensor> examples) -> std::string {
    AdapterConfig config;
    config.target_modules = {"first"};
    config.init_lora_weights = init;
    try {
      adapt(Mlp(), {at::randn({2, 20})}, config, {.start_inputs = std::move(examples)});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(told("eva", {}), HasSubstr("must be one tensor for each of the model's 1 inputs, not "
                                         "0: init_lora_weights needs examples"));
  EXPECT_THAT(told("true", {at::randn({8, 20})}), HasSubstr("no adapter starts from data"));
  EXPECT_THAT(told("eva", {at::scalar_tensor(1.0)}), HasSubstr("as many examples in dimension 0"));
}

// What the model computes with a whole adapter of random parameters on the named modules.
AdaptedModule with_random_adapter(const CallableModel& model, std::vector<std::string> targets) {
  AdapterConfig config;   // r = 8, which all groups of the models' convolutions divide
  config.lora_alpha = 2;  // gates of recurrent cells saturate
  config.init_lora_weights = "random";
  config.target_modules = std::move(targets);
  return AdaptedModule(detail::adapt_module(model, config, {}));
}

// All outputs side by side, each run with the same random numbers and buffers.
Tensor output_of(const CallableModel& model, const TensorFunction& forward) {
  at::manual_seed(7);
  const std::vector<Tensor> buffers = model.module->buffers();
  std::vector<Tensor> before;
  before.reserve(buffers.size());
  for (const Tensor& buffer : buffers) before.push_back(buffer.clone());
  std::vector<Tensor> parts;
  for (const Tensor& output : forward(model.examples)) {
    if (output.defined()) parts.push_back(output.flatten());
  }
  for (std::size_t i = 0; i < buffers.size(); ++i) buffers[i].copy_(before[i]);
  return at::cat(parts);
}
Tensor output_of(const CallableModel& model) { return output_of(model, model.forward); }
Tensor output_of(const CallableModel& model, const AdaptedModule& adapted) {
  return output_of(model, [&](const std::vector<Tensor>& inputs) { return adapted.run(inputs); });
}

CallableModel made(const ModelCase& model) {
  at::manual_seed(3);
  CallableModel callable = model.make();
  callable.module->eval();
  // As it is after adapting: PyTorch runs recurrent layers by other kernels where nothing is
  // trained.
  for (Tensor& parameter : callable.module->parameters()) parameter.set_requires_grad(false);
  return callable;
}

class AdaptedModels : public ::testing::TestWithParam<ModelCase> {};

// All layers at once, and each alone, since one adapter may hide another.
TEST_P(AdaptedModels, ChangeTheirOutputWithEveryParameter) {
  const at::NoGradGuard no_grad;
  if (GetParam().adaptable.empty()) GTEST_SKIP() << "none of its layers is adapted";
  std::vector<std::vector<std::string>> selections{GetParam().adaptable};
  for (const std::string& layer : GetParam().adaptable) selections.push_back({layer});
  for (const std::vector<std::string>& targets : selections) {
    const CallableModel model = made(GetParam());
    const AdaptedModule adapted = with_random_adapter(model, targets);
    EXPECT_EQ(adapted.targeted_module_names().size(), targets.size());
    const Tensor output = output_of(model, adapted);
    for (const auto& [name, parameter] : adapted.named_parameters()) {
      const Tensor before = parameter.clone();
      const Tensor writable = parameter;
      writable.add_(at::randn_like(writable), 0.5);
      EXPECT_FALSE(at::equal(output_of(model, adapted), output)) << name;
      writable.copy_(before);
    }
  }
}

TEST_P(AdaptedModels, AreMergedIntoTheUsersModelAndTakenOutBitForBit) {
  const at::NoGradGuard no_grad;
  if (GetParam().adaptable.empty()) GTEST_SKIP() << "none of its layers is adapted";
  const CallableModel model = made(GetParam());
  const Tensor own = output_of(model);
  AdaptedModule adapted = with_random_adapter(model, GetParam().adaptable);
  const Tensor output = output_of(model, adapted);
  EXPECT_FALSE(at::allclose(output, own, 1e-3, 1e-3));
  EXPECT_TRUE(at::equal(output_of(model), own));
  if (!GetParam().merge_refusal.empty()) {
    try {
      adapted.merge_into_model();
      FAIL() << "merged";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(GetParam().merge_refusal));
    }
    EXPECT_TRUE(at::equal(output_of(model), own));
    EXPECT_TRUE(at::equal(output_of(model, adapted), output));
    return;
  }
  const bool is_half = model.module->parameters()[0].scalar_type() == at::kBFloat16;
  const double tolerance = is_half ? 0.03 : 1e-4;  // the merged weight is rounded, too
  for (int time = 0; time < 2; ++time) {
    adapted.merge_into_model();
    EXPECT_TRUE(at::allclose(output_of(model), output, tolerance, 0.1 * tolerance));
    EXPECT_TRUE(at::allclose(output_of(model, adapted), output, tolerance, 0.1 * tolerance));
    adapted.unmerge_from_model();
    EXPECT_TRUE(at::equal(output_of(model), own));
    EXPECT_TRUE(at::equal(output_of(model, adapted), output));
  }
}

// Every module with parameters of its own is adapted or reported.
TEST_P(AdaptedModels, ReportEveryLayerThatTheyCannotAdapt) {
  const CallableModel model = made(GetParam());
  std::vector<std::string> reported;
  for (const auto& module : model.module->named_modules("", false)) {
    if (module.value()->parameters(false).empty()) continue;
    if (std::ranges::count(GetParam().adaptable, module.key()) > 0) continue;
    try {
      with_random_adapter(model, {module.key()});
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("`" + module.key() + "`"));
      reported.push_back(module.key());
    }
  }
  for (const std::string& layer : GetParam().unadaptable) {
    EXPECT_THAT(reported, ::testing::Contains(layer));
  }
}

INSTANTIATE_TEST_SUITE_P(All, AdaptedModels, ::testing::ValuesIn(model_cases()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace tenon
