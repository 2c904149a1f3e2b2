#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/toml_reader.h"
#include "support/error_matchers.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

using testing::error_text;
using testing::TempDir;

struct BadConfig {
  std::string name;
  std::string text;     // the whole file
  std::string problem;  // from the position on

  friend void PrintTo(const BadConfig& bad, std::ostream* out) { *out << bad.text; }
};

const std::string kDeclared = "[model]\nlayers = [{name = \"a\", type = \"Linear\"}]\n";  // 2 lines
const std::string kModel = "[model]\npath = \"m.pt2\"\n";                                 // 2 lines
// Line 5 follows.
const std::string kAdapter = kModel + "[adapter]\ntarget_modules = [\"a\"]\n";
// Line 9 follows, in [train].
const std::string kTrain =
    kAdapter + "[output]\ndirectory = \"o\"\n[data]\ntrain = \"d\"\n[train]\n";
const std::string kFull = kModel + "[data]\ntrain = \"d\"\n[train]\nfull = true\n";  // 6 lines

// ".a.a.a..." of so many parts that freeing their tables would take more stack than there is.
const std::string kDottedKey = [] {
  std::string key;
  for (int part = 0; part < 100'000; ++part) key += ".a";
  return key;
}();

void expect_problem(const BadConfig& bad, const ConfigScope& scope) {
  const TempDir dir;
  const auto file = dir.write("c.toml", bad.text);
  EXPECT_EQ(error_text([&] { read_run_config(file, {}, scope); }), file.string() + bad.problem);
}

const auto kName = [](const auto& instance) { return instance.param.name; };

class BadModelOrAdapter : public ::testing::TestWithParam<BadConfig> {};
TEST_P(BadModelOrAdapter, IsToldWithItsPlace) { expect_problem(GetParam(), {.adapter = true}); }

INSTANTIATE_TEST_SUITE_P(
    Files, BadModelOrAdapter,
    ::testing::Values(
        BadConfig{"Toml", "[model]\npath = \n",
                  ":2:8: not valid TOML: Error while parsing key-value pair: expected value, "
                  "saw '\\n'"},
        BadConfig{"DeepValue", "x = " + std::string(100'000, '[') + "\n",
                  ":1:261: not valid TOML: Error while parsing value: exceeded maximum nested "
                  "value depth of 256 (TOML_MAX_NESTED_VALUES)"},
        BadConfig{"DeepHeading", kModel + "[a" + kDottedKey + "]\n",
                  ":3: not valid here: a key of more than 256 parts"},
        BadConfig{"DeepKeyInATable", kModel + "x = { \"#\"" + kDottedKey + " = 1 }\n",
                  ":3: not valid here: a key of more than 256 parts"},
        BadConfig{"WideNumber", kAdapter + "r = 99999999999999999999\n",
                  ":5:25: not valid TOML: Error while parsing decimal integer: "
                  "'99999999999999999999' is not representable in 64 bits"},
        BadConfig{"ZeroByte", kAdapter + std::string("name = \"a\0b\"\n", 13),
                  ":5:10: not valid TOML: Error while parsing string: unescaped control characters "
                  "other than TAB (U+0009) are explicitly prohibited"},
        BadConfig{"NoModel", "[plugins]\n", ": [model] is missing: it names the model to work on"},
        BadConfig{"ModelIsNoTable", "model = 3\n", ":1:9: `model` must be a section: [model]"},
        BadConfig{"UnknownSection", kModel + "[adaptor]\n",
                  ":3:2: unknown section [adaptor]; did you mean `adapter`?"},
        BadConfig{"OutsideSections", "zzz = 3\n" + kModel,
                  ":1:1: `zzz` stands outside the sections; the sections are model, plugins, "
                  "adapter, data, train, output"}),
    kName);

INSTANTIATE_TEST_SUITE_P(
    Models, BadModelOrAdapter,
    ::testing::Values(
        BadConfig{"Empty", "[model]\n",
                  ":1:1: [model] needs `path`, an exported program (.pt2), [[model.layers]], a "
                  "declared model, or `plugin`, a C++ model"},
        BadConfig{"Both", kDeclared + "path = \"m.pt2\"\n",
                  ":2:10: `model.layers` and `model.path` exclude each other: a model is either "
                  "declared or exported"},
        BadConfig{"NameOfAProgram", kModel + "name = \"M\"\n",
                  ":3:8: `model.name` is for a declared model; an exported program has its own"},
        BadConfig{"NoLayers", "[model]\nlayers = []\n", ":2:10: `model.layers` must not be empty"},
        BadConfig{"LayersAreNoList", "[model]\nlayers = 3\n",
                  ":2:10: `model.layers` must be a list of tables: [[model.layers]], not an "
                  "integer"},
        BadConfig{"LayerIsNoTable", "[model]\nlayers = [3]\n",
                  ":2:11: `model.layers[0]` must be a table: [[model.layers]], not an integer"},
        BadConfig{"LayerWithoutType", "[[model.layers]]\nname = \"a\"\n",
                  ":1:1: `model.layers[0].type` is missing: the layer's PyTorch type, such as "
                  "\"Linear\""},
        BadConfig{"LayerNameWithTwoDots", "[[model.layers]]\nname = \"a..b\"\ntype = \"Linear\"\n",
                  ":2:8: `model.layers[0].name` must be names joined by single dots, not `a..b`"},
        BadConfig{"ArgumentIsATable", "[[model.layers]]\nname = \"a\"\ntype = \"Linear\"\nx = {}\n",
                  ":4:5: `model.layers[0].x` must be a boolean, a number, a string or a list of "
                  "one of them, not a table"},
        BadConfig{"Dtype", kDeclared + "dtype = \"float23\"\n",
                  ":3:9: `model.dtype` must be none, float32, float64, bfloat16 or float16, not "
                  "`float23`; did you mean `float32`, `float64` or `float16`?"},
        BadConfig{"NegativeSeed", kModel + "seed = -1\n",
                  ":3:8: `model.seed` must be at least 0, not -1"},
        BadConfig{"EmptyPath", "[model]\npath = \"\"\n", ":2:8: `model.path` must not be empty"},
        BadConfig{"PreferWithoutColon", kModel + "[plugins]\nprefer = { linear = \"x\" }\n",
                  ":4:21: `plugins.prefer.linear` must be named \"method:type\", such as "
                  "\"lora:torch.nn.Linear\""},
        BadConfig{"ShortHash", kModel + "[plugins]\nsha256 = { p = \"abc\" }\n",
                  ":4:16: `plugins.sha256.p` must be a SHA-256 of 64 hexadecimal digits"},
        BadConfig{"FilesIsNoList", kModel + "[plugins]\nfiles = \"x.so\"\n",
                  ":4:9: `plugins.files` must be a list of paths, not a string"}),
    kName);

INSTANTIATE_TEST_SUITE_P(
    Adapters, BadModelOrAdapter,
    ::testing::Values(
        BadConfig{"UnknownKeyWithoutNeighbour", kModel + "[plugins]\nuse_dora = true\n",
                  ":4:1: unknown key `use_dora` in [plugins]; known here: directories, files, "
                  "prefer, sha256"},
        BadConfig{"EmptyTargets", kModel + "[adapter]\ntarget_modules = []\n",
                  ":4:18: `adapter.target_modules` names no layer"},
        BadConfig{"EmptyTarget", kModel + "[adapter]\ntarget_modules = [\"a\", \"\"]\n",
                  ":4:24: `adapter.target_modules[1]` must not be empty"},
        BadConfig{"TargetsAreANumber", kModel + "[adapter]\ntarget_modules = 3\n",
                  ":4:18: `adapter.target_modules` must be a regular expression or a list of "
                  "names, not an integer"},
        BadConfig{"RegexWithLayers",
                  kModel + "[adapter]\ntarget_modules = \"a\"\nlayers_to_transform = 1\n",
                  ":5:23: `adapter.layers_to_transform` cannot be used when "
                  "`adapter.target_modules` is a string, that is a regular expression; give a "
                  "list of names"},
        BadConfig{
            "PatternWithoutLayers", kAdapter + "layers_pattern = [\"h\"]\n",
            ":5:18: `adapter.layers_pattern` needs `adapter.layers_to_transform`, the numbers "
            "of the layers"},
        BadConfig{"PatternKeyWithoutQuotes", kAdapter + "rank_pattern = { a.b = 3 }\n",
                  ":5:18: `adapter.rank_pattern.a` must be a plain value, not a table; a name with "
                  "dots is written in quotes"},
        BadConfig{"NameWithDot", kAdapter + "name = \"a.b\"\n",
                  ":5:8: `adapter.name` must not hold a dot or a slash: `a.b`"},
        BadConfig{"NameOfAnotherFolder", kAdapter + "name = \"/tmp/a\"\n",
                  ":5:8: `adapter.name` must not hold a dot or a slash: `/tmp/a`"},
        BadConfig{"NameThatMeansNone", kAdapter + "name = \"__base__\"\n",
                  ":5:8: `adapter.name` must not be `__base__`, which stands for no adapter"},
        BadConfig{"Several",
                  kModel + "[[adapter]]\ntarget_modules = \"a\"\n[[adapter]]\ntarget_modules = "
                           "\"b\"\n",
                  ":5:1: a second adapter is named `default`: give each its own `name`"},
        BadConfig{"InactiveAndTrained", kAdapter + "active = false\ntrainable = true\n",
                  ":6:13: `adapter.trainable` cannot be true where `adapter.active` is false: no "
                  "gradient reaches an adapter that does not run"}),
    kName);

class BadTraining : public ::testing::TestWithParam<BadConfig> {};
TEST_P(BadTraining, IsToldWithItsPlace) {
  expect_problem(GetParam(), {.adapter = true, .training = true});
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadTraining,
    ::testing::Values(
        BadConfig{"NoData", kAdapter + "[train]\n[output]\ndirectory = \"o\"\n",
                  ": [data] is missing: it names the file to train on"},
        BadConfig{"NoTrain", kAdapter + "[data]\ntrain = \"d\"\n[output]\ndirectory = \"o\"\n",
                  ": [train] is missing: it says how to train"},
        BadConfig{"NothingToTrain", kModel + "[data]\ntrain = \"d\"\n[train]\n",
                  ": nothing to train: [adapter] is missing and `train.full` is not true"},
        BadConfig{"FullWithAdapter",
                  kFull + "[output]\nmodel = \"w\"\n[adapter]\n"
                          "target_modules = \"a\"\n",
                  ":6:8: `train.full` trains every parameter, [adapter] only a few: leave one out"},
        BadConfig{
            "FullIntoAFolder", kFull + "[output]\ndirectory = \"o\"\n",
            ":8:13: `output.directory` is for an adapter; with `train.full` the weights go to "
            "`output.model`"},
        BadConfig{"FullWithoutOutput", kFull,
                  ": `output.model` is missing: the safetensors file for all weights"},
        BadConfig{"AdapterWithoutOutput", kAdapter + "[data]\ntrain = \"d\"\n[train]\n",
                  ": `output.directory` is missing: the folder for the adapter"},
        BadConfig{"AdapterIntoAModel",
                  kAdapter + "[data]\ntrain = \"d\"\n[train]\n[output]\ndirectory = \"o\"\nmodel = "
                             "\"m\"\n",
                  ":10:9: `output.model` is only for `train.full`; an adapter goes to "
                  "`output.directory`"},
        BadConfig{"EpochsAndSteps", kTrain + "epochs = 1\nsteps = 1\n",
                  ":11:9: `train.steps` and `train.epochs` exclude each other: give one of them"},
        BadConfig{"NoLearning", kTrain + "learning_rate = 0\n",
                  ":10:17: `train.learning_rate` must be greater than 0, not 0"},
        BadConfig{"EmptyBatch", kTrain + "batch_size = 0\n",
                  ":10:14: `train.batch_size` must be at least 1, not 0"},
        BadConfig{"ShuffleIsAString", kTrain + "shuffle = \"yes\"\n",
                  ":10:11: `train.shuffle` must be true or false, not a string"},
        BadConfig{"OneBeta", kTrain + "betas = [0.9]\n",
                  ":10:9: `train.betas` must be a list of two numbers"},
        BadConfig{"BetaOfOne", kTrain + "betas = [0.9, 1.0]\n",
                  ":10:15: `train.betas[1]` must be at least 0 and less than 1, not 1"},
        BadConfig{"MomentumOfAdamw", kTrain + "momentum = 0.9\n",
                  ":10:12: `train.momentum` is a setting of sgd, but the optimizer is adamw"},
        BadConfig{
            "EpsOfSgd", kTrain + "optimizer = \"sgd\"\neps = 1e-8\n",
            ":11:7: `train.eps` is a setting of adamw, adam and lorafa, but the optimizer is sgd"},
        BadConfig{"ScheduleOfNoName", kTrain + "lr_scheduler_type = \"cosin\"\n",
                  ":10:21: `train.lr_scheduler_type` must be constant, constant_with_warmup, "
                  "linear, cosine, cosine_with_restarts, polynomial, inverse_sqrt, "
                  "cosine_with_min_lr, warmup_stable_decay or reduce_lr_on_plateau, not `cosin`; "
                  "did you mean `cosine`?"},
        BadConfig{"KeywordOfAnotherSchedule",
                  kTrain + "lr_scheduler_type = \"cosine\"\nlr_scheduler_kwargs = {power = 2}\n",
                  ":11:32: `train.lr_scheduler_kwargs.power` is unknown for \"cosine\"; it takes "
                  "num_cycles"},
        BadConfig{"KeywordOfAConstantRate", kTrain + "lr_scheduler_kwargs = {power = 2}\n",
                  ":10:32: `train.lr_scheduler_kwargs.power` is unknown: "
                  "`train.lr_scheduler_type` = \"constant\" takes no lr_scheduler_kwargs"},
        BadConfig{"DecayWithoutSteps", kTrain + "lr_scheduler_type = \"warmup_stable_decay\"\n",
                  ":10:21: `train.lr_scheduler_type` needs `num_decay_steps` for "
                  "\"warmup_stable_decay\""},
        BadConfig{"WarmupOfAConstantRate", kTrain + "warmup_steps = 5\n",
                  ":10:16: `train.warmup_steps` has no effect under `train.lr_scheduler_type` = "
                  "\"constant\"; take \"constant_with_warmup\""},
        BadConfig{"PlateauWithoutEvaluations",
                  kTrain + "lr_scheduler_type = \"reduce_lr_on_plateau\"\n",
                  ":10:21: `train.lr_scheduler_type` needs `train.eval_steps`: it goes by the "
                  "evaluations"},
        BadConfig{"PatienceWithoutEvaluations", kTrain + "early_stopping_patience = 2\n",
                  ":10:27: `train.early_stopping_patience` needs `train.eval_steps`: evaluations "
                  "while it trains"},
        BadConfig{"NothingToEvaluateOn", kTrain + "eval_steps = 5\n",
                  ":10:14: `train.eval_steps` needs `data.eval`, the file to evaluate on, or "
                  "`data.eval_fraction`"},
        BadConfig{"NoGradient", kTrain + "max_grad_norm = 0\n",
                  ":10:17: `train.max_grad_norm` must be greater than 0, not 0"},
        BadConfig{"NesterovWithoutMomentum", kTrain + "optimizer = \"sgd\"\nnesterov = true\n",
                  ":11:12: `train.nesterov` needs a momentum and no dampening"}),
    kName);

TEST(BadLayers, OfOneNameAreToldWithTheFirstsPlace) {
  const TempDir dir;
  const std::string layer = "[[model.layers]]\nname = \"a\"\ntype = \"Linear\"\n";
  const std::string file = dir.write("c.toml", layer + layer).string();
  EXPECT_EQ(error_text([&] { read_run_config(file, {}, {}); }),
            file + ":4:1: a layer named `a` is already declared at " + file + ":1:1");
}

// What the user sees, without the folder of the test.
std::string problems_of(const std::string& text, const ConfigScope& scope) {
  const TempDir dir;
  std::string shown = error_text([&] { read_run_config(dir.write("c.toml", text), {}, scope); });
  const std::string folder = dir.path().string() + "/";
  for (std::size_t at = shown.find(folder); at != std::string::npos; at = shown.find(folder)) {
    shown.erase(at, folder.size());
  }
  return shown;
}

TEST(BadConfigs, ListAllProblemsInTheOrderOfTheFile) {
  EXPECT_EQ(problems_of("[output]\ndirectory = 3\n[model]\npath = \"m.pt2\"\n"
                        "[adapter]\ntarget_modules = [\"a\"]\nactive = 3\nname = \"a.b\"\n"
                        "[data]\n[train]\nepochs = 1\noptimizer = \"adamv\"\n",
                        {.adapter = true, .training = true}),
            "6 problems in c.toml\n"
            "c.toml:1:1: `output.directory` is missing: the folder for the adapter\n"
            "c.toml:2:13: `output.directory` must be a string, not an integer\n"
            "c.toml:7:10: `adapter.active` must be true or false, not an integer\n"
            "c.toml:8:8: `adapter.name` must not hold a dot or a slash: `a.b`\n"
            "c.toml:9:1: `data.train` is missing: the file, or the folder of "
            "images, to train on\n"
            "c.toml:12:13: `train.optimizer` must be adamw, adam, sgd or lorafa, not `adamv`; did "
            "you mean "
            "`adamw` or `adam`?");
}

TEST(BadConfigs, PutASingleProblemIntoLocationAndMessage) {
  const TempDir dir;
  try {
    read_run_config(dir.write("c.toml", kModel + "seeed = 1\n"), {}, {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.failure().stage, Stage::kConfig);
    EXPECT_EQ(error.failure().location, (dir / "c.toml").string() + ":3:1");
    EXPECT_EQ(error.failure().message, "unknown key `seeed` in [model]; did you mean `seed`?");
  }
}

TEST(BadConfigs, ThatAreMissingAreTold) {
  const TempDir dir;
  EXPECT_EQ(error_text([&] { read_run_config(dir / "no.toml", {}, {}); }),
            "cannot read `" + (dir / "no.toml").string() + "`: No such file or directory");
}

}  // namespace
}  // namespace tenon
