#include "config/toml_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using testing::TempDir;
using ::testing::UnorderedElementsAre;

constexpr ConfigScope kModelOnly = {};
constexpr ConfigScope kPlanScope = {.adapter = true};
constexpr ConfigScope kRun = {.adapter = true, .training = true};

const std::string kModelText = "[model]\npath = \"m.pt2\"\n";
const std::string kAdapterText = "[adapter]\ntarget_modules = [\"a\"]\n";
const std::string kTraining =
    "[data]\ntrain = \"d.csv\"\n[train]\nepochs = 1\n[output]\ndirectory = \"out\"\n";

RunConfig read(const TempDir& dir, const std::string& text, const ConfigScope& scope) {
  return read_run_config(dir.write("c.toml", text), {}, scope);
}

TEST(ReadRunConfig, ReadsTheGuidesExample) {
  const TempDir dir;
  const RunConfig config = read(dir, R"(
[model]
name = "MLP"
seed = 1
[[model.layers]]
name = "seq.0"
type = "Linear"
in_features = 20
out_features = 2000
bias = true
[[model.layers]]
name = "seq.1"
type = "LogSoftmax"
dim = -1
[adapter]
target_modules = ["seq.0"]
modules_to_save = ["seq.4"]
[data]
train = "data/train.csv"
eval = "data/eval.csv"
[train]
loss = "nll"
learning_rate = 2e-3
epochs = 30
batch_size = 64
[output]
directory = "adapters/mlp"
)",
                                kRun);
  EXPECT_EQ(config.file, dir / "c.toml");
  EXPECT_EQ(config.model.name, "MLP");
  EXPECT_EQ(config.model.seed, 1U);
  EXPECT_FALSE(config.model.path);
  ASSERT_EQ(config.model.layers.size(), 2U);
  const DeclaredLayer& layer = config.model.layers[0];
  EXPECT_EQ(layer.name, "seq.0");
  EXPECT_EQ(layer.type, "Linear");
  EXPECT_EQ(layer.location, (dir / "c.toml").string() + ":5:1");
  EXPECT_THAT(layer.arguments,
              UnorderedElementsAre(Pair("in_features", OptionValue(std::int64_t{20})),
                                   Pair("out_features", OptionValue(std::int64_t{2000})),
                                   Pair("bias", OptionValue(true))));
  ASSERT_EQ(config.adapters.size(), 1U);
  const AdapterConfig& adapter = config.adapters[0];
  EXPECT_EQ(adapter.target_modules, ModuleRule(std::vector<std::string>{"seq.0"}));
  EXPECT_THAT(adapter.modules_to_save, ElementsAre("seq.4"));
  EXPECT_THAT(adapter.explicit_keys, UnorderedElementsAre("target_modules", "modules_to_save"));
  EXPECT_EQ(adapter.location, (dir / "c.toml").string() + ":15:1");
  ASSERT_TRUE(config.data);
  EXPECT_THAT(config.data->train, ::testing::ElementsAre(dir / "data/train.csv"));
  EXPECT_THAT(config.data->eval, ::testing::ElementsAre(dir / "data/eval.csv"));
  EXPECT_THAT(config.data->explicit_keys, UnorderedElementsAre("train", "eval"));
  ASSERT_TRUE(config.train);
  EXPECT_EQ(config.train->loss, "nll");
  EXPECT_DOUBLE_EQ(config.train->learning_rate, 2e-3);
  EXPECT_EQ(config.train->epochs, 30);
  EXPECT_EQ(config.train->steps, std::nullopt);
  EXPECT_EQ(config.train->batch_size, 64);
  EXPECT_EQ(config.output.directory, dir / "adapters/mlp");
}

TEST(ReadRunConfig, ReadsEveryAdapterKey) {
  const TempDir dir;
  const AdapterConfig adapter = read(dir, kModelText + R"(
[adapter]
method = "lora"
name = "mine"
target_modules = ["q", "v"]
exclude_modules = "head.*"
layers_to_transform = [0, 2]
layers_pattern = "layers"
r = 4
lora_alpha = 16
lora_dropout = 0.1
use_rslora = true
init_lora_weights = "gaussian"
init_from = "start"
skip_unsupported = true
allow_unmatched = true
[adapter.options]
flag = true
count = 3
ratio = 0.5
word = ""
list = [1, 2]
mixed = [1, 2.5]
)",
                                     kPlanScope)
                                    .adapters.at(0);
  EXPECT_EQ(adapter.method, "lora");
  EXPECT_EQ(adapter.name, "mine");
  EXPECT_EQ(adapter.target_modules, ModuleRule(std::vector<std::string>{"q", "v"}));
  EXPECT_EQ(adapter.exclude_modules, ModuleRule(Regex{"head.*"}));
  EXPECT_THAT(adapter.layers_to_transform, ElementsAre(0, 2));
  EXPECT_THAT(adapter.layers_pattern, ElementsAre("layers"));
  EXPECT_THAT(adapter.method_keys,
              UnorderedElementsAre(
                  Pair("r", OptionValue(std::int64_t{4})),
                  Pair("lora_alpha", OptionValue(std::int64_t{16})),
                  Pair("lora_dropout", OptionValue(0.1)), Pair("use_rslora", OptionValue(true)),
                  Pair("init_lora_weights", OptionValue(std::string("gaussian")))));
  EXPECT_EQ(adapter.init_from, dir / "start");
  EXPECT_TRUE(adapter.skip_unsupported);
  EXPECT_TRUE(adapter.allow_unmatched);
  EXPECT_THAT(adapter.options,
              UnorderedElementsAre(
                  Pair("flag", OptionValue(true)), Pair("count", OptionValue(std::int64_t{3})),
                  Pair("ratio", OptionValue(0.5)), Pair("word", OptionValue(std::string())),
                  Pair("list", OptionValue(std::vector<std::int64_t>{1, 2})),
                  Pair("mixed", OptionValue(std::vector<double>{1, 2.5}))));
}

TEST(ReadRunConfig, ReadsEveryTrainingKey) {
  const TempDir dir;
  const RunConfig config = read(dir, kModelText + kAdapterText + R"(
[data]
train = "/abs/d.safetensors"
inputs = ["x", "y"]
target = "t"
scale = 2
[train]
loss = "mse"
optimizer = "adam"
betas = [0.5, 0]
eps = 1e-6
weight_decay = 0.1
amsgrad = true
maximize = true
steps = 7
shuffle = false
seed = 3
threads = 2
batch_norm = "train"
[output]
directory = "out"
force = true
)",
                                kRun);
  EXPECT_THAT(config.data->train, ::testing::ElementsAre("/abs/d.safetensors"));
  EXPECT_THAT(config.data->inputs, ElementsAre("x", "y"));
  EXPECT_EQ(config.data->target, "t");
  EXPECT_DOUBLE_EQ(config.data->scale, 2);
  EXPECT_EQ(config.train->optimizer, "adam");
  EXPECT_THAT(config.train->betas, ElementsAre(0.5, 0.0));
  EXPECT_DOUBLE_EQ(config.train->eps, 1e-6);
  EXPECT_EQ(config.train->weight_decay, 0.1);
  EXPECT_TRUE(config.train->amsgrad);
  EXPECT_TRUE(config.train->maximize);
  EXPECT_EQ(config.train->steps, 7);
  EXPECT_FALSE(config.train->shuffle);
  EXPECT_EQ(config.train->seed, 3U);
  EXPECT_EQ(config.train->threads, 2);
  EXPECT_EQ(config.train->batch_norm, "train");
  EXPECT_TRUE(config.output.force);
}

TEST(ReadRunConfig, ReadsSgdWithNesterov) {
  const TempDir dir;
  const RunConfig config =
      read(dir,
           kModelText + kAdapterText +
               "[data]\ntrain = \"d\"\n[output]\ndirectory = \"o\"\n"
               "[train]\noptimizer = \"sgd\"\nmomentum = 0.9\nnesterov = true\n",
           kRun);
  EXPECT_DOUBLE_EQ(config.train->momentum, 0.9);
  EXPECT_TRUE(config.train->nesterov);
}

TEST(ReadRunConfig, ReadsTablesOfAMethod) {
  const TempDir dir;
  const auto file = dir.write(
      "c.toml", kModelText + kAdapterText + "[adapter.eva_config]\nrho = 1\nwhiten = true\n");
  const AdapterConfig adapter =
      read_run_config(file, {"adapter.eva_config.rho=1.5"}, kPlanScope).adapters.at(0);
  EXPECT_EQ(adapter.method_keys.at("eva_config"), testing::table({{"rho", 1.5}, {"whiten", true}}));
  EXPECT_EQ(adapter.key_places.at("eva_config.whiten").text, file.string() + ":7:10");
}

TEST(ReadRunConfig, ReadsPlugins) {
  const TempDir dir;
  const std::string hash(64, 'A');
  const RunConfig config = read(dir,
                                kModelText +
                                    "[plugins]\ndirectories = [\"p\", \"/q\"]\nfiles = [\"f.so\"]\n"
                                    "prefer = { \"lora:torch.nn.Linear\" = \"mine.linear\" }\n"
                                    "sha256 = { \"my.plugin\" = \"" +
                                    hash + "\" }\n",
                                kModelOnly);
  EXPECT_THAT(config.plugins.directories, ElementsAre(dir / "p", "/q"));
  EXPECT_THAT(config.plugins.files, ElementsAre(dir / "f.so"));
  EXPECT_THAT(config.plugins.prefer, ElementsAre(Pair("lora:torch.nn.Linear", "mine.linear")));
  EXPECT_THAT(config.plugins.sha256, ElementsAre(Pair("my.plugin", std::string(64, 'a'))));
}

TEST(ReadRunConfig, KeepsPatternsInTheOrderOfTheFile) {
  const TempDir dir;
  const auto file = dir.write("c.toml", kModelText + kAdapterText +
                                            "[adapter.rank_pattern]\nz = 1\n\"b.c\" = 2\na = 3\n"
                                            "[adapter.alpha_pattern]\ny = 1\nx = 2.5\n");
  const AdapterConfig adapter =
      read_run_config(file, {"adapter.rank_pattern.aa=9", "adapter.rank_pattern.z=7"}, kPlanScope)
          .adapters.at(0);
  EXPECT_EQ(adapter.method_keys.at("rank_pattern"),
            testing::patterns({{"z", 7}, {"b.c", 2}, {"a", 3}, {"aa", 9}}));
  EXPECT_EQ(adapter.method_keys.at("alpha_pattern"),
            testing::table({{"y", std::int64_t{1}}, {"x", 2.5}}));
}

TEST(ReadRunConfig, TakesOneAdapterAsAList) {
  const TempDir dir;
  const RunConfig config =
      read(dir, kModelText + "[[adapter]]\ntarget_modules = \"all-linear\"\n", kPlanScope);
  EXPECT_EQ(config.adapters.at(0).target_modules, ModuleRule(Regex{"all-linear"}));
}

TEST(ReadRunConfig, TakesFullTrainingWithoutAnAdapter) {
  const TempDir dir;
  const RunConfig config = read(dir,
                                kModelText +
                                    "[data]\ntrain = \"d\"\n[train]\nfull = true\n"
                                    "[output]\nmodel = \"w.safetensors\"\n",
                                kRun);
  EXPECT_TRUE(config.train->full);
  EXPECT_EQ(config.output.model, dir / "w.safetensors");
  EXPECT_THAT(config.adapters, IsEmpty());
}

TEST(ReadRunConfig, LeavesSectionsOutOfScopeAlone) {
  const TempDir dir;
  const RunConfig config = read(
      dir, kModelText + "[adapter]\nnonsense = 1\n[data]\nx = 1\n[train]\ny = 2\n[output]\nz = 3\n",
      kModelOnly);
  EXPECT_THAT(config.adapters, IsEmpty());
  EXPECT_FALSE(config.data);
  EXPECT_FALSE(config.train);
}

}  // namespace
}  // namespace tenon
