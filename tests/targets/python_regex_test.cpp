#include "targets/python_regex.h"

#include "support/error_matchers.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;

// Expressions of Python's dialect; the results are those of its re.fullmatch.
struct Match {
  const char* pattern;
  const char* text;
  bool matches;
};
const std::vector<Match>& matches() {
  static const std::vector<Match> all{
      {R"((?P<n>a)\.(?P=n))", "a.a", true},
      {R"((?P<n>a|b)\.(?P=n))", "a.b", false},
      {R"(model\.\d+\Z)", "model.12", true},
      {R"((?s)a.*)", "abc", true},
      {R"((?i)MODEL\.[A-Z]+)", "model.abc", true},
      {R"((?i:Q)_proj)", "q_proj", true},
      {R"((?i:Q)_proj)", "q_PROJ", false},
      {R"((?a)\w+)", "q_proj", true},
      {R"(a{,2})", "aa", true},
      {R"(a{,2})", "aaa", false},
      {R"(a{2}b{1,})", "aabbb", true},
      {R"(a{x})", "a{x}", true},
      {R"(a{})", "a{}", true},
      {R"(})", "}", true},
      {R"([]x]+)", "x]x", true},
      {R"([^]x]+)", "ab", true},
      {R"([[:alpha:]])", "q", false},  // a set of [ : a l p h, then a ]
      {R"([[:alpha:]])", "a]", true},
      {R"(a\<b)", "a<b", true},
      {R"([\d\-_]+)", "1-2_3", true},
      {R"(\x61\x2E\u0062)", "a.b", true},
      {R"((a)(b)\2\1)", "abba", true},
      {R"((?#what it is)lin0)", "lin0", true},
      {R"(^(?!.*vision).*\.(q|v)_proj$)", "text.0.q_proj", true},
      {R"(^(?!.*vision).*\.(q|v)_proj$)", "vision.0.q_proj", false},
      {R"(.*(?<=\.)fc1)", "mlp.fc1", true},
      {R"((a)?(?(1)b|c))", "ab", true},
      {R"((?P<x>a)?(?(x)b|c))", "c", true},
      {R"(größe)", "größe", true},
  };
  return all;
}

class PythonRegexTest : public ::testing::TestWithParam<std::size_t> {};

TEST_P(PythonRegexTest, MatchesAsPythonDoes) {
  const Match& row = matches()[GetParam()];
  EXPECT_EQ(PythonRegex("target_modules", row.pattern).full_match(row.text), row.matches)
      << row.pattern << " on " << row.text << " as " << to_perl_regex(row.pattern);
}

INSTANTIATE_TEST_SUITE_P(Rows, PythonRegexTest, ::testing::Range<std::size_t>(0, matches().size()));

struct Refused {
  const char* name;
  const char* pattern;
  const char* expected;
};
class RefusedRegexTest : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedRegexTest, IsAnErrorThatNamesKeyAndFault) {
  const std::string text = error_text([] { PythonRegex("target_modules", GetParam().pattern); });
  EXPECT_THAT(text, HasSubstr("target_modules: `" + std::string(GetParam().pattern) +
                              "` is not a regular expression: "));
  EXPECT_THAT(text, HasSubstr(GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(
    Faults, RefusedRegexTest,
    ::testing::Values(Refused{"Escape", R"(a\q)", R"(bad escape \q)"},
                      Refused{"PerlsEnd", R"(a\z)", R"(bad escape \z)"},
                      Refused{"Backslash", "a\\", "it ends with a backslash"},
                      Refused{"Set", "[ab", "unterminated character set"},
                      Refused{"PerlsGroup", "(?<n>a)", "a named group is (?P<name>...)"},
                      Refused{"Extension", "(?&n)", "unknown extension (?&"},
                      Refused{"Bytes", "(?L)a", "the flag L is for bytes only"},
                      Refused{"Hexadecimal", R"(\x6)", R"(incomplete escape \x)"},
                      Refused{"Group", "(a", ""}, Refused{"Nothing", "*a", ""}),
    [](const auto& test) { return test.param.name; });

TEST(PythonRegex, EndlessSearchIsAnErrorNotAHang) {
  const PythonRegex regex("exclude_modules", "(a+)+b");
  EXPECT_THAT(error_text([&] { regex.full_match(std::string(60, 'a')); }),
              HasSubstr("exclude_modules: `(a+)+b` needs too many steps to match"));
}

TEST(PythonRegex, GroupAtTheStartIsThatOfPythonsMatch) {
  const PythonRegex regex("layers_pattern", R"((?:^|.*?\.)h\.(?P<idx>\d+)\.)");
  EXPECT_EQ(regex.group_at_start("model.h.3.attn", "idx"), "3");
  EXPECT_EQ(regex.group_at_start("model.g.3.attn", "idx"), std::nullopt);
}

}  // namespace
}  // namespace tenon
