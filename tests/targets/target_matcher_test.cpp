#include "targets/target_matcher.h"

#include "support/error_matchers.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;

const std::vector<std::string>& paths() {
  static const std::vector<std::string> all{"encoder",
                                            "encoder.layers.0.q_proj",
                                            "encoder.layers.0.v_proj",
                                            "encoder.layers.1.q_proj",
                                            "encoder.layers.1.v_proj",
                                            "head",
                                            "head.q_proj"};
  return all;
}

AdapterConfig config(ModuleRule targets) {
  AdapterConfig adapter;
  adapter.target_modules = std::move(targets);
  return adapter;
}
ModuleRule names(std::vector<std::string> list) { return list; }

TEST(TargetMatcher, ListEntriesAreWholePathsOrSuffixesAfterADot) {
  EXPECT_THAT(match_targets(config(names({"v_proj", "head.q_proj"})), paths()).targeted,
              ElementsAre("encoder.layers.0.v_proj", "encoder.layers.1.v_proj", "head.q_proj"));
}

TEST(TargetMatcher, StringIsARegularExpressionOverTheWholePath) {
  EXPECT_THAT(match_targets(config(Regex{R"(.*\.1\.[qv]_proj)"}), paths()).targeted,
              ElementsAre("encoder.layers.1.q_proj", "encoder.layers.1.v_proj"));
  EXPECT_THAT(error_text([&] { match_targets(config(Regex{"q_proj"}), paths()); }),
              HasSubstr("`q_proj` in target_modules matches no module"));
}

TEST(TargetMatcher, LayersToTransformFiltersByNumber) {
  AdapterConfig adapter = config(names({"q_proj"}));
  adapter.layers_to_transform = {1};
  EXPECT_THAT(match_targets(adapter, paths()).targeted, ElementsAre("encoder.layers.1.q_proj"));
}

TEST(TargetMatcher, RulesThatChangeNothingAreTold) {
  AdapterConfig adapter = config(names({"q_proj"}));
  adapter.layers_to_transform = {1, 7};
  adapter.exclude_modules = names({"v_proj"});
  EXPECT_THAT(match_targets(adapter, paths()).notes,
              ElementsAre("exclude_modules leaves nothing out: target_modules means none of what "
                          "it matches",
                          "`7` in layers_to_transform is the number of no targeted layer"));
}

TEST(TargetMatcher, RulesAboutTargetModulesMeanNothingForParameters) {
  AdapterConfig adapter = config(ModuleRule());
  adapter.target_parameters = {"q_proj.weight"};
  adapter.layers_to_transform = {1};
  adapter.exclude_modules = names({"head"});
  const std::string text =
      error_text([&] { match_targets(adapter, paths(), {"head.q_proj.weight"}); });
  EXPECT_THAT(text, HasSubstr("exclude_modules is about target_modules, which names nothing here"));
  EXPECT_THAT(text, HasSubstr("layers_to_transform is about target_modules"));
}

TEST(TargetMatcher, SavedAdapterMeansEveryModuleThatEndsLikeItsModulesToSave) {
  AdapterConfig adapter = config(names({"q_proj"}));
  adapter.modules_to_save = {"_proj"};
  adapter.exclude_modules = names({"head"});
  EXPECT_THAT(error_text([&] { match_targets(adapter, paths()); }),
              HasSubstr("`_proj` in modules_to_save matches no module"));
  adapter.modules_to_save = {"v_proj", "ad"};
  adapter.optional_keys = {"modules_to_save"};
  EXPECT_THAT(match_targets(adapter, paths()).saved,
              ElementsAre("encoder.layers.0.v_proj", "encoder.layers.1.v_proj", "head"));
}

TEST(TargetMatcher, ModulesToSaveAndWhatLiesInsideAreNoTargets) {
  AdapterConfig adapter = config(names({"q_proj"}));
  adapter.modules_to_save = {"head"};
  const TargetMatch match = match_targets(adapter, paths());
  EXPECT_THAT(match.targeted, ElementsAre("encoder.layers.0.q_proj", "encoder.layers.1.q_proj"));
  EXPECT_THAT(match.saved, ElementsAre("head"));
}

TEST(TargetMatcher, ExcludedModulesAreLeftOut) {
  AdapterConfig adapter = config(names({"v_proj"}));
  adapter.exclude_modules = names({"layers.0.v_proj"});
  EXPECT_THAT(match_targets(adapter, paths()).targeted, ElementsAre("encoder.layers.1.v_proj"));
}

TEST(TargetMatcher, EntryThatMatchesNothingIsAnErrorWithTheNearestName) {
  EXPECT_THAT(error_text([&] {
                match_targets(config(names({"q_proj", "v_prj"})), paths());
              }),
              HasSubstr("`v_prj` in target_modules matches no module"));
}

TEST(TargetMatcher, UnmatchedEntryIsANoteWhereTheConfigAllowsIt) {
  AdapterConfig adapter = config(names({"q_proj", "k_proj"}));
  adapter.allow_unmatched = true;
  const TargetMatch match = match_targets(adapter, paths());
  EXPECT_EQ(match.targeted.size(), 3U);
  ASSERT_EQ(match.notes.size(), 1U);
  EXPECT_THAT(match.notes[0], HasSubstr("`k_proj` in target_modules"));
}

TEST(TargetMatcher, SavedAdapterMayNameWhatTheModelLacks) {
  AdapterConfig adapter = config(names({"v_proj", "k_proj"}));
  adapter.exclude_modules = names({"vision"});
  adapter.modules_to_save = {"head", "score"};
  EXPECT_THAT(error_text([&] { match_targets(adapter, paths()); }),
              HasSubstr("`score` in modules_to_save matches no module"));
  adapter.optional_keys = {"target_modules", "exclude_modules", "modules_to_save"};
  const TargetMatch match = match_targets(adapter, paths());
  EXPECT_THAT(match.saved, ElementsAre("head"));
  EXPECT_EQ(match.targeted.size(), 2U);
  EXPECT_THAT(match.notes, ElementsAre(HasSubstr("`score` in modules_to_save"),
                                       HasSubstr("`k_proj` in target_modules"),
                                       HasSubstr("`vision` in exclude_modules")));
}

TEST(TargetMatcher, AllProblemsComeAtOnce) {
  AdapterConfig adapter = config(names({"k_proj"}));
  adapter.modules_to_save = {"tail"};
  const std::string text = error_text([&] { match_targets(adapter, paths()); });
  EXPECT_THAT(text, HasSubstr("`k_proj` in target_modules"));
  EXPECT_THAT(text, HasSubstr("`tail` in modules_to_save"));
}

TEST(TargetMatcher, WhatLayersToTransformLeavesOutIsTold) {
  AdapterConfig adapter = config(names({"q_proj", "head.q_proj"}));
  adapter.layers_to_transform = {7};
  EXPECT_THAT(error_text([&] { match_targets(adapter, paths()); }),
              HasSubstr("`q_proj` in target_modules matches no module that layers_to_transform "
                        "wants; what it names is in layers 0, 1"));
}

TEST(TargetMatcher, StringThatWouldMatchAsANameSaysSo) {
  EXPECT_THAT(error_text([] { match_targets(config(Regex{"q_proj"}), paths()); }),
              HasSubstr("in a list, [\"q_proj\"], it would match 3"));
}

TEST(TargetMatcher, ExpressionInAListIsToldToBeAString) {
  EXPECT_THAT(error_text([] { match_targets(config(names({".*q_proj"})), paths()); }),
              HasSubstr("a list holds plain names, a regular expression is a string"));
}

struct NothingLeft {
  const char* name;
  ModuleRule exclude;
  std::vector<std::string> save;
  const char* expected;
};
class NothingLeftTest : public ::testing::TestWithParam<NothingLeft> {};

TEST_P(NothingLeftTest, IsAnErrorThatNamesTheKey) {
  AdapterConfig adapter = config(names({"head.q_proj", "layers.0.q_proj"}));
  adapter.exclude_modules = GetParam().exclude;
  adapter.modules_to_save = GetParam().save;
  EXPECT_THAT(
      error_text([&] { match_targets(adapter, paths()); }),
      HasSubstr("every module that target_modules matches is " + std::string(GetParam().expected)));
}

INSTANTIATE_TEST_SUITE_P(
    Rules, NothingLeftTest,
    ::testing::Values(NothingLeft{"Excluded", names({"q_proj"}), {}, "in exclude_modules"},
                      NothingLeft{"Saved", {}, {"head", "encoder"}, "in modules_to_save"},
                      NothingLeft{"Both",
                                  names({"layers.0.q_proj"}),
                                  {"head"},
                                  "in exclude_modules or in modules_to_save"}),
    [](const auto& test) { return test.param.name; });

// PEFT's own examples of which module a config matches (its tests/test_tuners_utils.py); the
// results are those of PEFT 0.21.2, which differ from its table in the two marked rows.
struct PeftRow {
  const char* path;
  ModuleRule targets;
  std::vector<std::int64_t> layers;
  std::vector<std::string> pattern;
  bool matches;
};
const std::vector<PeftRow>& peft_rows() {
  static const std::vector<PeftRow> rows{
      {"", names({}), {}, {}, false},
      {"", names({"foo"}), {}, {}, false},
      {"foo", names({}), {}, {}, false},
      {"foo", names({"foo"}), {}, {}, true},
      {"foo", names({"bar"}), {}, {}, false},
      {"foo", names({"foo", "bar"}), {}, {}, true},
      {"foo", Regex{"foo"}, {}, {}, true},
      {"foo", Regex{".*oo"}, {}, {}, true},
      {"foo", Regex{"fo.*"}, {}, {}, true},
      {"foo", Regex{".*bar.*"}, {}, {}, false},
      {"foobar", Regex{".*oba.*"}, {}, {}, true},
      {"foo.bar.1.baz", names({"baz"}), {1}, {"bar"}, true},
      {"foo.bar.1.baz", names({"baz"}), {0}, {"bar"}, false},
      {"foo.bar.1.baz", names({"baz"}), {2}, {"bar"}, false},
      {"foo.bar.10.baz", names({"baz"}), {0}, {"bar"}, false},
      {"foo.bar.10.baz", names({"baz"}), {1}, {"bar"}, false},
      {"foo.bar.1.baz", names({"baz"}), {0, 1, 2}, {"bar"}, true},
      {"foo.bar.1.baz", names({"baz", "spam"}), {1}, {"bar"}, true},
      {"foo.bar.1.baz", names({"baz", "spam"}), {0, 1, 2}, {"bar"}, true},
      {"foo.whatever.1.baz", names({"baz"}), {1}, {}, true},
      {"foo.whatever.1.baz", names({"baz"}), {0}, {}, false},
      {"foo.whatever.1.baz", names({"baz"}), {1}, {}, true},   // pattern ""
      {"foo.whatever.1.baz", names({"baz"}), {0}, {}, false},  // pattern ""
      {"foo.whatever.1.baz", names({"baz"}), {1}, {}, true},   // pattern None
      {"foo.whatever.1.baz", names({"baz"}), {0}, {}, false},  // pattern None
      {"transformer.h.1.attn.attention.q_proj.foo", names({"q_proj"}), {}, {}, false},
      {"transformer.h.1.attn.attention.q_proj", names({}), {}, {}, false},
      {"transformer.h.1.attn.attention.q_proj", names({"q_proj"}), {}, {}, true},
      {"transformer.h.1.attn.attention.q_proj", names({"q_proj", "v_proj"}), {}, {}, true},
      {"transformer.h.1.attn.attention.resid_dropout", names({"q_proj", "v_proj"}), {}, {}, false},
      {"transformer.h.1.attn.attention.q_proj", names({"q_proj"}), {1}, {"h"}, true},
      {"transformer.h.1.attn.attention.q_proj", names({"q_proj"}), {0}, {"h"}, false},
      {"transformer.h.1.attn.attention.q_proj", names({"q_proj"}), {2}, {"h"}, false},
      {"transformer.h.1.attn.attention.q_proj", names({"q_proj"}), {0, 1, 2}, {"h"}, true},
      {"transformer.h.1.attn.attention.q_proj",
       names({"q_proj", "v_proj"}),
       {0, 1, 2},
       {"h"},
       true},
      {"foo.bar.q_proj", names({"q_proj"}), {}, {}, true},
      {"foo.bar.1.baz", names({"baz"}), {1}, {"foo"}, false},
      {"foo.bar.1.baz", names({"baz"}), {1}, {"baz"}, false},
      {"bar.1.baz", names({"baz"}), {1}, {"bar"}, true},  // the list may be the root's own
      {"foo.bar.001.baz", names({"baz"}), {1}, {"bar"}, true},
      {"foo.bar.1.spam.2.baz", names({"baz"}), {1}, {"bar"}, true},
      {"foo.bar.2.spam.1.baz", names({"baz"}), {1}, {"bar"}, false},
      {"blocks.1.weight", names({"weight"}), {1}, {"blocks"}, true},  // likewise
      {"blocks.1.bias", names({"weight"}), {1}, {"blocks"}, false},
      {"mlp.blocks.1.weight", names({"weight"}), {1}, {"blocks"}, true},
      {"mlp.blocks.1.bias", names({"weight"}), {1}, {"blocks"}, false},
  };
  return rows;
}

class PeftRowTest : public ::testing::TestWithParam<std::size_t> {};

TEST_P(PeftRowTest, MatchesAsPeftDoes) {
  const PeftRow& row = peft_rows()[GetParam()];
  AdapterConfig adapter = config(row.targets);
  adapter.layers_to_transform = row.layers;
  adapter.layers_pattern = row.pattern;
  adapter.optional_keys = {"target_modules"};
  bool matched = true;
  try {
    matched = match_targets(adapter, {row.path}).targeted.size() == 1;
  } catch (const Error& nothing) {
    EXPECT_THAT(nothing.what(),
                ::testing::AnyOf(HasSubstr("is targeted"), HasSubstr("is missing")));
    matched = false;
  }
  EXPECT_EQ(matched, row.matches) << row.path;
}

INSTANTIATE_TEST_SUITE_P(Rows, PeftRowTest, ::testing::Range<std::size_t>(0, 46));

}  // namespace
}  // namespace tenon
