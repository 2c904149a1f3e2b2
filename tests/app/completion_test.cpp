#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "app/command_line.h"
#include "base/error.h"

namespace tenon {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

std::string script_for(const char* shell) {
  const std::array<const char*, 3> words = {"tenon", "completion", shell};
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(parse_command_line(static_cast<int>(words.size()), words.data()), std::nullopt);
  return ::testing::internal::GetCapturedStdout();
}

// What bash offers after a line of words, the last of them unfinished.
std::vector<std::string> offered(const std::string& line) {
  const std::filesystem::path folder = ::testing::TempDir();
  std::ofstream(folder / "completion.bash") << script_for("bash");
  const std::string command = "cd " + (folder).string() +
                              " && bash -c 'source ./completion.bash; COMP_WORDS=(" + line +
                              " ); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tenon; "
                              "printf \"%s\\n\" \"${COMPREPLY[@]}\"'";
  std::string text;
  std::array<char, 256> part{};
  FILE* out = ::popen(command.c_str(), "r");
  while (std::fgets(part.data(), part.size(), out) != nullptr) text += part.data();
  EXPECT_EQ(::pclose(out), 0) << command;
  std::vector<std::string> words;
  std::istringstream lines(text);
  for (std::string word; std::getline(lines, word);) words.push_back(word);
  return words;
}

TEST(Completion, BashOffersVerbsThenTheirOptions) {
  EXPECT_THAT(offered("tenon r"), Contains("run"));
  EXPECT_THAT(offered("tenon r"), Not(Contains("predict")));
  EXPECT_THAT(offered("tenon adapter c"), IsSupersetOf({"combine", "convert"}));
  EXPECT_THAT(offered("tenon run --f"), Contains("--force"));
  EXPECT_THAT(offered("tenon plan --f"), Not(Contains("--force")));
  EXPECT_THAT(offered("tenon adapter combine a b --comb"), Contains("--combination-type"));
}

TEST(Completion, BashOffersFilesBehindAVerbOnly) {
  std::ofstream(std::filesystem::path(::testing::TempDir()) / "own.toml") << "";
  EXPECT_THAT(offered("tenon run ow"), Contains("own.toml"));
  EXPECT_THAT(offered("tenon ow"), Not(Contains("own.toml")));
}

TEST(Completion, ZshAndFishTellWhatEachIsFor) {
  EXPECT_THAT(script_for("zsh"), HasSubstr("'run:Train the adapter of a config and save it'"));
  const std::string fish = script_for("fish");
  EXPECT_THAT(fish, HasSubstr("-n '__fish_use_subcommand' -a run -d 'Train the adapter"));
  EXPECT_THAT(fish, HasSubstr("complete -c tenon -n '__fish_seen_subcommand_from adapter; and "
                              "__fish_seen_subcommand_from combine' -l svd-rank -r"));
  EXPECT_THAT(fish, HasSubstr("PEFT")) << "quotes of help texts are escaped: add_weighted_adapter";
}

TEST(Completion, AnotherShellIsRefusedWithThoseThatAre) {
  const std::array<const char*, 3> words = {"tenon", "completion", "tcsh"};
  try {
    parse_command_line(static_cast<int>(words.size()), words.data());
    FAIL() << "a shell that is none";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("bash"));
    EXPECT_THAT(error.what(), HasSubstr("fish"));
  }
}

}  // namespace
}  // namespace tenon
