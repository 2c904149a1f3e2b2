#include "inject/target_matcher.h"

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

TEST(TargetMatcher, SavedAdapterMayNameOneModuleToSaveThatTheModelLacks) {
  AdapterConfig adapter = config(names({"v_proj"}));
  adapter.modules_to_save = {"head", "score"};
  EXPECT_THAT(error_text([&] { match_targets(adapter, paths()); }),
              HasSubstr("`score` in modules_to_save matches no module"));
  adapter.allow_unmatched_saved = true;
  const TargetMatch match = match_targets(adapter, paths());
  EXPECT_THAT(match.saved, ElementsAre("head"));
  ASSERT_EQ(match.notes.size(), 1U);
  EXPECT_THAT(match.notes[0], HasSubstr("`score` in modules_to_save matches no module"));
}

TEST(TargetMatcher, AllProblemsComeAtOnce) {
  AdapterConfig adapter = config(names({"k_proj"}));
  adapter.modules_to_save = {"tail"};
  adapter.rank_pattern = {{"o_proj", 4}};
  const std::string text = error_text([&] { match_targets(adapter, paths()); });
  EXPECT_THAT(text, HasSubstr("`k_proj` in target_modules"));
  EXPECT_THAT(text, HasSubstr("`tail` in modules_to_save"));
  EXPECT_THAT(text, HasSubstr("`o_proj` in rank_pattern"));
}

TEST(TargetMatcher, FirstPatternThatFitsDecides) {
  const std::vector<std::pair<std::string, std::int64_t>> ranks{{"layers.1.q_proj", 2},
                                                                {"q_proj", 4}};
  EXPECT_EQ(pattern_value(ranks, "encoder.layers.1.q_proj"), 2);
  EXPECT_EQ(pattern_value(ranks, "encoder.layers.0.q_proj"), 4);
  EXPECT_EQ(pattern_value(ranks, "head"), std::nullopt);
}

}  // namespace
}  // namespace tenon
