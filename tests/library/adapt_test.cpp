#include <tenon/adapt.h>
// The header comes first, to show that it needs no other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/optim/adamw.h>

#include <fstream>

#include "capture/mlp_model.h"
#include "capture/models.h"
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
  config.target_modules = std::vector<std::string>{"attention"};
  const Tensor x = at::randn({5, 3, 8});
  auto adapted = adapt(attention, {x}, config);
  const auto [own, own_weights] = attention->forward(x);
  const auto [output, weights] = adapted.forward({x});
  EXPECT_TRUE(at::allclose(own, output, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(own_weights, weights, 1e-5, 1e-6));

  const auto many = std::make_shared<ManyWaysImpl>();
  config.target_modules = std::vector<std::string>{"first"};
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
  config.target_modules = std::vector<std::string>{"fc"};
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

TEST(Adapt, ExportedProgramIsTrainedMergedAndSavedLikeAModel) {
  const testing::TempDir folder;
  const std::filesystem::path program = testing::test_data("mlp.pt2");
  AdapterConfig config;
  config.target_modules = Regex{"all-linear"};
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

TEST(Adapt, WrongTargetIsToldWithTheNearestName) {
  Mlp model;
  try {
    adapt(model, {at::randn({2, 20})}, guide_config({"firts"}, {}));
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("first"));
  }
}

struct Adaptable {
  std::string name;
  std::function<CallableModel()> make;
  std::vector<std::string> targets;
};
void PrintTo(const Adaptable& model, std::ostream* out) { *out << model.name; }

template <typename Model>
std::function<CallableModel()> of(std::vector<Tensor> examples) {
  return [examples] { return callable_model(std::make_shared<Model>(), examples); };
}

class NoAdapterIsBypassed : public ::testing::TestWithParam<Adaptable> {};

// Every parameter of every adapter changes the output, and merging gives the same one.
TEST_P(NoAdapterIsBypassed, EveryParameterChangesTheOutput) {
  const CallableModel model = GetParam().make();
  model.module->eval();
  AdapterConfig config;
  config.r = 2;
  config.init_lora_weights = "random";
  config.target_modules = GetParam().targets;
  AdaptedModule adapted(detail::adapt_module(model, config, {}));
  const at::NoGradGuard no_grad;
  const Tensor output = adapted.run(model.examples)[0].clone();
  EXPECT_EQ(adapted.targeted_module_names().size(), GetParam().targets.size());
  for (const auto& [name, parameter] : adapted.named_parameters()) {
    const Tensor before = parameter.clone();
    const Tensor writable = parameter;
    writable.add_(0.5);
    EXPECT_FALSE(at::equal(adapted.run(model.examples)[0], output)) << name;
    writable.copy_(before);
  }
  adapted.merge_into_model();
  EXPECT_TRUE(at::allclose(model.forward(model.examples)[0], output, 1e-4, 1e-5));
  adapted.unmerge_from_model();
}

INSTANTIATE_TEST_SUITE_P(
    All, NoAdapterIsBypassed,
    ::testing::Values(
        Adaptable{"Mlp", of<MlpImpl>({at::randn({4, 20})}), {"first", "second", "last"}},
        Adaptable{"ConvNet", of<ConvNetImpl>({at::randn({2, 3, 8, 8})}), {"conv", "head"}},
        Adaptable{"Conv1dNet", of<Conv1dNetImpl>({at::randn({2, 4, 9})}), {"down", "up"}},
        Adaptable{"Conv3dNet", of<Conv3dNetImpl>({at::randn({2, 2, 4, 4, 4})}), {"down", "up"}},
        Adaptable{"Tagger",
                  of<TaggerImpl>({at::randint(11, {3, 7}, at::kLong)}),
                  {"embedding", "lstm", "head"}},
        Adaptable{"GruNet", of<GruNetImpl>({at::randn({3, 4, 3})}), {"gru", "head"}},
        Adaptable{"RnnNet", of<RnnNetImpl>({at::randn({3, 4, 3})}), {"rnn"}},
        Adaptable{"SelfAttention", of<SelfAttentionImpl>({at::randn({5, 3, 8})}), {"attention"}},
        Adaptable{"BilinearNet",
                  of<BilinearNetImpl>({at::randn({3, 3}), at::randn({3, 4})}),
                  {"bilinear"}},
        Adaptable{"ResidualNet",
                  of<ResidualNetImpl>({at::randn({2, 5, 6})}),
                  {"blocks.0.fc", "blocks.2.fc", "head"}},
        Adaptable{"SharedLayer", of<SharedLayerImpl>({at::randn({3, 4})}), {"fc"}}),
    [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace tenon
