#include "check/plugin_check.h"

#include <algorithm>

#include "config/adapter_keys.h"
#include "support/error_matchers.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

CheckReport check(const std::filesystem::path& file) {
  // Two seconds are much for these layers, and short for one that never returns.
  return check_plugin(file, {.model = {}, .layer = {}, .time_limit = std::chrono::seconds(2)});
}

std::filesystem::path bad_plugin(const std::string& name) {
  return std::filesystem::path(BAD_PLUGINS) / (name + ".so");
}

std::vector<std::string> failed_rules(const CheckReport& report) {
  std::vector<std::string> rules;
  for (const Finding& finding : report.findings) {
    if (finding.status != RuleStatus::kFailed) continue;
    if (rules.empty() || rules.back() != finding.rule) rules.push_back(finding.rule);
  }
  return rules;
}

TEST(PluginCheck, SoundPluginFailsNoRule) {
  const CheckReport report = check(bad_plugin("sound"));
  EXPECT_THAT(failed_rules(report), IsEmpty());
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.facts.id, "acme.additive");
  EXPECT_EQ(report.facts.version, "1.0.0");
}

struct Fault {
  std::string plugin;
  std::string rule;
  std::string detail;
};

std::string fault_name(const ::testing::TestParamInfo<Fault>& fault) { return fault.param.plugin; }

class BadPlugin : public ::testing::TestWithParam<Fault> {};

// Exactly that rule: a check that blames others too would send the author looking elsewhere.
TEST_P(BadPlugin, IsCaughtByTheRuleMadeForIt) {
  const CheckReport report = check(bad_plugin(GetParam().plugin));
  EXPECT_THAT(failed_rules(report), ::testing::ElementsAre(GetParam().rule));
  for (const Finding& finding : report.findings) {
    if (finding.status == RuleStatus::kFailed) {
      EXPECT_THAT(finding.detail, HasSubstr(GetParam().detail));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    OfTheFile, BadPlugin,
    ::testing::Values(
        Fault{"extra_export", "exports", "it exports additive_helper too"},
        Fault{"shared_static", "exports", "it exports _ZZ7countervE5count too"},
        Fault{"libtorch_symbol", "no-libtorch", "it needs _ZN2at15set_num_threadsEi; call"},
        Fault{"static_constructor", "no-static-constructors", "1 constructors run"},
        Fault{"missing_symbol", "loads", "of_another_library"},
        Fault{"other_version", "table",
              "its version is `1.0.0` in the table and `0.9.0` in the stamp"},
        Fault{"comma_in_types", "table", "`torch.nn.Linear, torch.nn.Bilinear` is no type name"},
        Fault{"bad_layer_id", "table", "the layer type's id `Trial Reg/../x` is not lower case"},
        Fault{"unknown_flags", "table", "has flags that this Tenon does not know"},
        Fault{"unnamed_factors", "table", "acme.additive-layer: a pair of factors has no names"},
        Fault{"init_fails_silently", "init", "plugin bug: init failed without a message"},
        Fault{"init_starts_thread", "no-threads", "opening it started a thread"},
        Fault{"init_hangs", "in-time", "it did not return while it was opened and initialised"},
        Fault{"init_exits", "no-crash", "it ended the process (exit status 3)"},
        Fault{"init_prints", "quiet", "it wrote to standard output"},
        Fault{"init_closes_output", "leaves-process", "it closed standard output"}),
    fault_name);

INSTANTIATE_TEST_SUITE_P(
    OfALayer, BadPlugin,
    ::testing::Values(
        Fault{"declares_differently", "declares-alike", "it declared other parameters"},
        Fault{"changes_fresh_base", "starts-as-base", "against the base, output 0 differs by"},
        Fault{"counts_calls", "repeatable",
              "in a second call on the same inputs, output 0 differs"},
        Fault{"half_gradient", "gradients", "the gradient of lora_offset at [0] is"},
        Fault{"wrong_shape", "runs", "output 0 is Float [4], the base gives Float [3, 4]"},
        Fault{"bad_parameter_name", "declares-alike", "`../../etc/x` is not named by parts"},
        Fault{"idle_parameter", "parameters-train", "lora_idle receives no gradient"},
        Fault{"wrong_merge", "merge", "merged, output 0 differs by"},
        Fault{"false_factors", "factors", "there is no lora_A.weight or lora_B.weight"},
        Fault{"ignores_rows", "rows", "with every other row its own, output 0 differs by"},
        Fault{"leaves_gradients_off", "no-grad", "forward left gradient recording switched off"},
        Fault{"not_reentrant", "threads", "beside 3 other threads, output 0 differs"},
        Fault{"swallows_errors", "forced-errors",
              "forward succeeded although call 2 (resolve) failed: output 0 differs"},
        Fault{"fails_silently", "says-why", "forward failed with status 2 and no text"},
        Fault{"gives_borrowed", "outputs", "forward: output 0 is borrowed; retain it first"},
        Fault{"leaves_output_empty", "outputs", "forward: output 0 was left empty"},
        Fault{"leaks", "handles", "forward kept 1 owned handles (1 of retain)"},
        Fault{"leaks_on_failure", "handles", "(1 of run_base) when call 2 (resolve) failed"},
        Fault{"releases_twice", "handles", "release was given the same tensor handle twice"},
        Fault{"keeps_borrowed", "borrowed",
              "describe was given a tensor handle that had been lent for an earlier call"},
        Fault{"writes_to_input", "read-only", "forward wrote to input 0"},
        Fault{"changes_folder", "leaves-process", "it changed the working folder to /"},
        Fault{"throws", "no-exceptions", "forward let an exception out: boom"},
        Fault{"crashes", "no-crash", "it crashed (Segmentation fault) while forward ran"},
        Fault{"exits", "no-crash", "it ended the process (exit status 1) while forward ran"},
        Fault{"hangs", "in-time", "it did not return while forward ran"}),
    fault_name);

TEST(PluginCheck, MergedWeightHasNoBaseToRun) {
  const CheckReport report = check(bad_plugin("runs_base_in_merge"));
  const auto found = std::ranges::find_if(report.findings, [](const Finding& finding) {
    return finding.rule == "merge" && finding.status == RuleStatus::kFailed;
  });
  ASSERT_NE(found, report.findings.end());
  EXPECT_THAT(found->detail, HasSubstr("there is no call of the base to run here"));
}

TEST(PluginCheck, ReportOfAPluginOfWhichNothingCouldBeTriedIsNotOk) {
  const CheckReport report = check(bad_plugin("of_unknown_type"));
  EXPECT_THAT(failed_rules(report), IsEmpty());
  EXPECT_TRUE(report.tried_nothing());
  EXPECT_FALSE(report.ok());
}

TEST(PluginCheck, TriesAWideLayerWhereTheSmallOneIsRefused) {
  EXPECT_THAT(failed_rules(check(bad_plugin("wrong_on_blocks"))), ::testing::ElementsAre("merge"));
}

TEST(PluginCheck, SaysHowToTryWhatRefusesBothLayers) {
  const CheckReport report = check(bad_plugin("refuses_all"));
  EXPECT_TRUE(report.tried_nothing());
  EXPECT_THAT(report.findings.back().detail,
              ::testing::AllOf(HasSubstr("refuses the layers that the check has for it"),
                               HasSubstr("1000 does not divide its outputs"),
                               HasSubstr("--set KEY=VALUE")));
}

TEST(PluginCheck, TriesOptionsOtherThanTheDefaults) {
  const auto check_with = [](const std::vector<std::string>& set) {
    return check_plugin(bad_plugin("wrong_with_option"), {.model = {},
                                                          .layer = {},
                                                          .time_limit = std::chrono::seconds(2),
                                                          .given = read_adapter_keys(set)});
  };
  EXPECT_TRUE(check_with({}).ok());
  EXPECT_THAT(failed_rules(check_with({"options.doubled=true"})), ::testing::ElementsAre("merge"));
  EXPECT_THAT(testing::error_text([&] { check_with({"options.trebled=true"}); }),
              HasSubstr("acme.additive-layer cannot be tried with --set"));
}

TEST(PluginCheck, TextFileFailsAsALibraryAndNothingElseIsTried) {
  const testing::TempDir folder;
  const CheckReport report = check(folder.write("notes.so", "not a library\n"));
  EXPECT_THAT(failed_rules(report), ::testing::ElementsAre("library"));
  for (const Finding& finding : report.findings) {
    if (finding.status != RuleStatus::kNotTried) continue;
    EXPECT_EQ(finding.detail, "the host would not open the file");
  }
}

TEST(PluginCheck, FileThatOthersCanChangeIsNotTrusted) {
  const testing::TempDir folder;
  std::filesystem::copy(bad_plugin("sound"), folder / "sound.so");
  std::filesystem::permissions(folder / "sound.so", std::filesystem::perms::all);
  EXPECT_THAT(failed_rules(check(folder / "sound.so")), ::testing::ElementsAre("trust"));
}

TEST(PluginCheck, MissingFileIsAnError) {
  EXPECT_THAT(testing::error_text([] { check("nowhere.so"); }), HasSubstr("nowhere.so"));
}

TEST(Rules, AreToldApartByIdAndEachSaysWhy) {
  std::vector<std::string> ids;
  for (const Rule& rule : all_rules()) {
    ids.emplace_back(rule.id);
    EXPECT_NE(std::string(rule.sentence), "");
    EXPECT_NE(std::string(rule.why), "");
    EXPECT_EQ(&find_rule(rule.id), &rule);
  }
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::unique(ids.begin(), ids.end()), ids.end());
}

}  // namespace
}  // namespace tenon
