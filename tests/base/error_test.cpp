#include "base/error.h"

#include <gtest/gtest.h>

#include <string>

namespace tenon {
namespace {

TEST(ErrorText, HasLocationMessageAndHint) {
  const Error error{{.stage = Stage::kConfig,
                     .message = "unknown key `rr`",
                     .hint = "did you mean `r`?",
                     .location = "mlp.toml:3:1"}};
  EXPECT_STREQ(error.what(), "mlp.toml:3:1: unknown key `rr`\n  did you mean `r`?");
}

TEST(ErrorText, LeavesOutWhatIsEmpty) {
  const Error error{{.stage = Stage::kModel, .message = "no such module"}};
  EXPECT_STREQ(error.what(), "no such module");
}

TEST(ErrorText, KeepsTheFailureForTheJsonForm) {
  const Error error{{.stage = Stage::kData, .message = "m", .hint = "h", .location = "l"}};
  EXPECT_EQ(error.failure().stage, Stage::kData);
  EXPECT_EQ(error.failure().message, "m");
  EXPECT_EQ(error.failure().hint, "h");
  EXPECT_EQ(error.failure().location, "l");
}

struct StageCase {
  Stage stage;
  std::string name;
  int exit_status;

  friend void PrintTo(const StageCase& stage, std::ostream* out) { *out << stage.name; }
};

class ErrorStage : public ::testing::TestWithParam<StageCase> {};

TEST_P(ErrorStage, HasItsNameAndExitStatus) {
  const StageCase& expected = GetParam();
  EXPECT_EQ(stage_name(expected.stage), expected.name);
  EXPECT_EQ((Error{{.stage = expected.stage, .message = "m"}}.exit_status()), expected.exit_status);
}

INSTANTIATE_TEST_SUITE_P(AllStages, ErrorStage,
                         ::testing::Values(StageCase{Stage::kCommandLine, "command line", 2},
                                           StageCase{Stage::kConfig, "config", 2},
                                           StageCase{Stage::kPlugins, "plugins", 1},
                                           StageCase{Stage::kModel, "model", 1},
                                           StageCase{Stage::kInjection, "injection", 2},
                                           StageCase{Stage::kData, "data", 1},
                                           StageCase{Stage::kTraining, "training", 1},
                                           StageCase{Stage::kAdapter, "adapter", 1},
                                           StageCase{Stage::kOutput, "output", 1},
                                           StageCase{Stage::kInternal, "internal", 1}));

}  // namespace
}  // namespace tenon
