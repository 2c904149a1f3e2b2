#include "app/manual.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <sstream>

#include "app/command_line.h"

namespace tenon {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string manual() {
  const std::array<const char*, 2> words = {"tenon", "manual"};
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(parse_command_line(static_cast<int>(words.size()), words.data()), std::nullopt);
  return ::testing::internal::GetCapturedStdout();
}

TEST(Manual, HasEveryVerbWithItsWordsAndOptions) {
  const std::string page = manual();
  EXPECT_THAT(page, HasSubstr(".SS tenon run target\nTrain the adapter of a config and save it."));
  EXPECT_THAT(page, HasSubstr(".SS tenon adapter combine folders\n"));
  EXPECT_THAT(page, HasSubstr(".B \\-\\-quiet, \\-q\nLog errors only"));
  EXPECT_THAT(page, HasSubstr(".B \\-\\-svd\\-rank \\fIVALUE\\fR\n"));
  EXPECT_THAT(page, Not(HasSubstr(".SS tenon adapter\n"))) << "a verb of verbs alone does nothing";
}

// roff reads a line that starts with a dot or a quote as a command of its own.
TEST(Manual, HasNoLineThatRoffTakesForACommandOfItsOwn) {
  std::istringstream lines(manual());
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('.')) {
      EXPECT_THAT(line, Not(::testing::StartsWith("'")));
      continue;
    }
    const std::string command = line.substr(0, line.find(' '));
    EXPECT_THAT(command, ::testing::AnyOf(".TH", ".SH", ".SS", ".TP", ".B", ".I")) << line;
  }
}

}  // namespace
}  // namespace tenon
