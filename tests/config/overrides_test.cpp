#include "config/overrides.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/toml_reader.h"
#include "support/adapter_keys.h"
#include "support/error_matchers.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::Pair;
using testing::TempDir;

constexpr ConfigScope kPlan = {.adapter = true};
const std::string kText = "[model]\npath = \"m.pt2\"\n[adapter]\ntarget_modules = [\"a\"]\nr = 4\n";

RunConfig read_with(const std::vector<std::string>& overrides, const std::string& text = kText) {
  const TempDir dir;
  return read_run_config(dir.write("c.toml", text), overrides, kPlan);
}

OptionValue key(const RunConfig& config, const std::string& name) {
  return config.adapters.at(0).method_keys.at(name);
}

TEST(Overrides, ReplaceAndAddValues) {
  const RunConfig config = read_with(
      {"adapter.r=16", " adapter.lora_alpha = 2.5 ", "model.seed=7", "adapter.use_rslora=true"});
  EXPECT_EQ(key(config, "r"), OptionValue(std::int64_t{16}));
  EXPECT_EQ(key(config, "lora_alpha"), OptionValue(2.5));
  EXPECT_EQ(key(config, "use_rslora"), OptionValue(true));
  EXPECT_EQ(config.model.seed, 7U);
}

TEST(Overrides, TakeTheLastOfSeveral) {
  EXPECT_EQ(key(read_with({"adapter.r=16", "adapter.r=2"}), "r"), OptionValue(std::int64_t{2}));
}

TEST(Overrides, TakeWhatIsNoTomlAsAString) {
  EXPECT_EQ(read_with({"adapter.name=mine"}).adapters.at(0).name, "mine");
  EXPECT_EQ(read_with({"adapter.name=\"mine\""}).adapters.at(0).name, "mine");
  EXPECT_EQ(read_with({"model.device=a \"b\" \\c"}).model.device, "a \"b\" \\c");
  EXPECT_EQ(
      read_with({R"(adapter.target_modules=[qv]_proj\.\d[0-9])"}).adapters.at(0).target_modules,
      ModuleRule(Regex{R"([qv]_proj\.\d[0-9])"}));
}

TEST(Overrides, KeepAValueWithALineBreakInOnePiece) {
  EXPECT_EQ(read_with({"model.device=1\nseed = 3"}).model.device, "1\nseed = 3");
}

TEST(Overrides, ReplaceListsAndTables) {
  const RunConfig config =
      read_with({"adapter.target_modules=[\"x\", \"y\"]", "adapter.rank_pattern={\"a.b\" = 3}"});
  EXPECT_EQ(config.adapters.at(0).target_modules, ModuleRule(std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(key(config, "rank_pattern"), testing::patterns({{"a.b", 3}}));
}

TEST(Overrides, SetQuotedKeysWithDots) {
  const RunConfig config = read_with(
      {"adapter.rank_pattern.\"a.b=c\"=3", "plugins.prefer.'lora:torch.nn.Linear'=mine.linear"});
  EXPECT_EQ(key(config, "rank_pattern"), testing::patterns({{"a.b=c", 3}}));
  EXPECT_THAT(config.plugins.prefer, ElementsAre(Pair("lora:torch.nn.Linear", "mine.linear")));
}

TEST(Overrides, MakeASectionThatTheFileLacks) {
  const RunConfig config =
      read_with({"adapter.r=3", "adapter.target_modules=x"}, "[model]\npath='m'");
  EXPECT_EQ(key(config, "r"), OptionValue(std::int64_t{3}));
  EXPECT_EQ(config.adapters.at(0).location, "--set adapter.r");
}

TEST(Overrides, DeclareAWholeModel) {
  const RunConfig config =
      read_with({"model.layers=[{name = \"l\", type = \"Linear\", in_features = 2}]"}, "");
  ASSERT_EQ(config.model.layers.size(), 1U);
  EXPECT_EQ(config.model.layers[0].location, "--set model.layers");
}

TEST(Overrides, ArePathsOfTheWorkingDirectory) {
  const TempDir dir;
  const auto file = dir.write("c.toml", "[model]\npath = \"m.pt2\"\nweights = \"w\"\n");
  const RunConfig config = read_run_config(file, {"model.path=here/m.pt2"}, {});
  EXPECT_EQ(config.model.path, "here/m.pt2");
  EXPECT_EQ(config.model.weights, dir / "w");
}

struct BadOverride {
  std::string name;
  std::string argument;
  std::string text;

  friend void PrintTo(const BadOverride& bad, std::ostream* out) { *out << bad.argument; }
};

class BadOverrides : public ::testing::TestWithParam<BadOverride> {};

TEST_P(BadOverrides, SayWhatToWriteInstead) {
  EXPECT_EQ(error_text([] {
              read_with({GetParam().argument},
                        "[model]\n[[model.layers]]\nname = \"a\"\ntype = \"Linear\"\n");
            }),
            GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadOverrides,
    ::testing::Values(
        BadOverride{"NoValue", "model.seed", "--set model.seed: --set wants section.key=VALUE"},
        BadOverride{"NoKey", "=3",
                    "--set : `` is not a key; --set wants section.key=VALUE, with quotes around a "
                    "part that holds more than letters, digits, _ and -"},
        BadOverride{"BadKey", "model.se:ed=3",
                    "--set model.se:ed: `model.se:ed` is not a key; --set wants section.key=VALUE, "
                    "with quotes around a part that holds more than letters, digits, _ and -"},
        BadOverride{"UnknownKey", "model.sede=3",
                    "--set model.sede: unknown key `sede` in [model]; did you mean `seed`?"},
        BadOverride{"UnknownSection", "modle.seed=3",
                    "--set modle.seed: unknown section [modle]; did you mean `model`?"},
        BadOverride{"NoSection", "seed=3",
                    "--set seed: `seed` stands outside the sections; the sections are model, "
                    "plugins, adapter, data, train, output"},
        BadOverride{"WrongType", "model.seed=x",
                    "--set model.seed: `model.seed` must be an integer, not a string"},
        BadOverride{"EntryOfAList", "model.layers.name=b",
                    "--set model.layers.name: `model.layers` is a list in the file; --set can "
                    "replace the whole list but not change an entry"},
        BadOverride{"ListWithoutQuotes", "plugins.files=[a, b]",
                    "--set plugins.files: `[a, b]` is not a TOML list; keep the quotes of its "
                    "strings from the shell: --set 'plugins.files=[\"a\", \"b\"]'"}),
    [](const auto& instance) { return instance.param.name; });

TEST(Overrides, DoNotReachIntoAPlainValue) {
  EXPECT_EQ(error_text([] { read_with({"adapter.r.x=1"}); }),
            "--set adapter.r.x: `adapter.r` is a plain value in the file, not a table");
}

}  // namespace
}  // namespace tenon
