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
Config guide_config(const std::vector<std::string>& targets,
                    const std::vector<std::string>& saved) {
  return {{"target_modules", targets}, {"modules_to_save", saved}};
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
  Config config{{"loss", "nll"},
                {"learning_rate", 2e-2},
                {"steps", 5},
                {"batch_size", 8},
                {"shuffle", false}};
  const TrainReport report = tenon::train(other, {.inputs = {x}, .target = labels}, config);
  EXPECT_EQ(report.losses.size(), 5U);
  EXPECT_LT(report.losses.back(), report.losses.front());
  EXPECT_TRUE(at::allclose(other.forward({x}), wanted, 1e-4, 1e-5));
  config = {{"loss", "nll"}, {"epochs", 1}, {"batch_size", 3}, {"max_grad_norm", 0.1}};
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

TEST(Adapt, SavedAdapterInitsAnotherModel) {
  const testing::TempDir folder;
  Mlp model;
  const Tensor x = at::randn({8, 20});
  auto adapted = adapt(model, {x}, guide_config({"first"}, {"last"}));
  const Tensor after = train(adapted, x, at::randint(2, {8}, at::kLong));
  adapted.save(folder.path() / "adapter");

  const Config config{{"init_from", folder.path() / "adapter"}};
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
  const Config config{{"target_modules", {"attention"}}};
  const Tensor x = at::randn({5, 3, 8});
  auto adapted = adapt(attention, {x}, config);
  const auto [own, own_weights] = attention->forward(x);
  const auto [output, weights] = adapted.forward({x});
  EXPECT_TRUE(at::allclose(own, output, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(own_weights, weights, 1e-5, 1e-6));

  const auto many = std::make_shared<ManyWaysImpl>();
  const auto named =
      adapt(many, {at::randn({3, 3}), at::randn({3, 4})}, {{"target_modules", {"first"}}});
  EXPECT_THAT(named.forward({at::randn({2, 3}), at::randn({2, 4})}).at("b").sizes(),
              ElementsAre(2, 2));
}

TEST(Adapt, FunctionMayCallAModelThatTakesMoreThanTensors) {
  struct Scaled : torch::nn::Module {
    Tensor forward(const Tensor& x, double factor) { return fc(x) * factor; }
    torch::nn::Linear fc = register_module("fc", torch::nn::Linear(3, 3));
  };
  Scaled model;
  const Config config{{"target_modules", {"fc"}}};
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
  const Config config{{"target_modules", {"embedding"}},
                      {"ensure_weight_tying", true},
                      {"init_lora_weights", false}};
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
  const Config config{{"target_modules", "all-linear"}};
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

  const Config again{{"init_from", folder.path() / "adapter"}};
  EXPECT_TRUE(at::equal(adapt_program(program, again).forward({x})[0], after));
}

TEST(Adapt, ProgramMayLieInMemory) {
  std::ifstream file(testing::test_data("mlp.pt2"), std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const Config config{{"target_modules", "all-linear"}, {"init_lora_weights", false}};
  const auto adapted = adapt_program(ProgramBytes{bytes.data(), bytes.size()}, config);
  bytes.assign(bytes.size(), 'x');  // they may go
  const Tensor x = at::randn({3, 4});
  const auto from_file = adapt_program(testing::test_data("mlp.pt2"), config);
  EXPECT_TRUE(at::equal(adapted.forward({x})[0], from_file.forward({x})[0]));
  try {
    adapt_program(ProgramBytes{bytes.data(), bytes.size()}, config);
    FAIL() << "adapted";
  } catch (const Error& error) {
    EXPECT_EQ(error.failure().location, "the program in memory");
    EXPECT_EQ(error.failure().stage, Stage::kModel);
  }
}

TEST(Adapt, ModelMayBeAPluginsByName) {
  const AdaptOptions options{.plugin_directories = {TENON_TEST_MODEL_PLUGINS}};
  const Config config{{"target_modules", "all-linear"}, {"init_lora_weights", false}};
  auto adapted = adapt_model_plugin("test.mlp", Table{{"hidden", 12}}, config, options);
  EXPECT_FALSE(adapted.targeted_module_names().empty());
  EXPECT_EQ(adapted.parameters()[1].size(0), 12);
  try {
    adapt_model_plugin("test.mlp", Table{{"hiden", 12}}, config, options);
    FAIL() << "adapted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("hiden"));
  }
}

TEST(Adapt, WrongKeysOfAConfigAreToldAllAtOnce) {
  const Config config{{"target_modules", {"first"}},
                      {"r", 0},
                      {"lora_dropout", 1.5},
                      {"bias", "some"},
                      {"lora_alhpa", 16},
                      {"rank_pattern", Table{{"first", -1}}}};
  try {
    adapt(Mlp(), {at::randn({2, 20})}, config);
    FAIL() << "adapted";
  } catch (const Error& error) {
    EXPECT_EQ(error.failure().stage, Stage::kConfig);
    EXPECT_THAT(
        error.what(),
        ::testing::AllOf(HasSubstr("5 problems in tenon::Config"),
                         HasSubstr("tenon::Config: `adapter.r` must be"),
                         HasSubstr("`adapter.lora_dropout` must be"), HasSubstr("`adapter.bias`"),
                         HasSubstr("did you mean `lora_alpha`?"), HasSubstr("rank_pattern")));
  }
}

TEST(Adapt, ConfigMayBeText) {
  Mlp model;
  const Config config = Config::from_text("[adapter]\nr = 4\ntarget_modules = [\"first\"]\n");
  const auto adapted = adapt(model, {at::randn({2, 20})}, config);
  EXPECT_EQ(adapted.named_parameters()[0].second.size(0), 4);
  try {
    adapt(model, {at::randn({2, 20})}, Config::from_text("[adapter]\nr = 0\n"));
    FAIL() << "adapted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("Config::from_text:2:5: `adapter.r` must be"));
  }
}

TEST(Adapt, ValuesAreWhatTomlHas) {
  const Config config{{"a b", "say \"hi\"\n\x01"},
                      {"numbers", {1, 2.0, 1e-7, -3L}},
                      {"truth", true},
                      {"table", Table{{"x.*", 4}, {"y", {"z"}}}}};
  EXPECT_EQ(config.text(),
            "\"a b\" = \"say \\\"hi\\\"\\u000A\\u0001\"\n"
            "\"numbers\" = [1, 2.0, 1e-07, -3]\n"
            "\"truth\" = true\n"
            "\"table\" = { \"x.*\" = 4, \"y\" = [\"z\"] }\n");
}

TEST(Adapt, KeysThatTrainingWithoutOtherRowsCannotHeedAreRefused) {
  Mlp model;
  const Tensor x = at::randn({8, 20});
  auto adapted = adapt(model, {x}, guide_config({"first"}, {}));
  try {
    tenon::train(adapted, {.inputs = {x}, .target = at::randint(2, {8}, at::kLong)},
                 {{"loss", "nll"}, {"eval_steps", 2}});
    FAIL() << "trained";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("eval_steps: tenon::train has rows to train on"));
  }
}

TEST(Adapt, FunctionThatIsCalledAfterEachStepMayEndTheTraining) {
  Mlp model;
  const Tensor x = at::randn({8, 20});
  const TrainRows rows{.inputs = {x}, .target = at::randint(2, {8}, at::kLong)};
  auto adapted = adapt(model, {x}, guide_config({"first"}, {}));
  const Config config{{"loss", "nll"}, {"steps", 9}, {"batch_size", 4}};
  std::vector<double> losses;
  const TrainReport report = tenon::train(adapted, rows, config, [&](const TrainStep& step) {
    EXPECT_EQ(step.steps, 9);
    losses.push_back(step.loss);
    return step.step < 3;
  });
  EXPECT_TRUE(report.stopped);
  EXPECT_EQ(report.losses, losses);
  EXPECT_EQ(losses.size(), 3U);
  EXPECT_THROW(tenon::train(adapted, rows, config,
                            [](const TrainStep&) -> bool { throw std::out_of_range("mine"); }),
               std::out_of_range);
}

TEST(Adapt, ModelThatIsNotThereIsToldBeforeItIsRun) {
  try {
    adapt(std::shared_ptr<MlpImpl>(), {at::randn({2, 20})}, {{"target_modules", {"first"}}});
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
    const Config config{{"target_modules", {"first"}}, {"init_lora_weights", init}};
    auto adapted = adapt(model, {x}, config, {.start_inputs = {x}});
    EXPECT_TRUE(at::allclose(adapted.forward({x}), before, 1e-4, 1e-4)) << init;
    const testing::TempDir folder;
    adapted.save(folder.path() / "adapter");
    const Config again{{"init_from", folder.path() / "adapter"}};
    EXPECT_TRUE(at::allclose(adapt(model, {x}, again).forward({x}), before, 1e-4, 1e-4)) << init;
  }
}

TEST(Adapt, ExamplesToStartFromAreCalledForAndChecked) {
  const auto told = [](const std::string& init, std::vector<Tensor> examples) -> std::string {
    Config config{{"target_modules", {"first"}}};
    if (init != "true") config.set("init_lora_weights", init);
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
AdaptedModule with_random_adapter(const CallableModel& model,
                                  const std::vector<std::string>& targets) {
  const Config config{{"lora_alpha", 2},  // gates of recurrent cells saturate
                      {"init_lora_weights", false},
                      {"target_modules", targets}};
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
