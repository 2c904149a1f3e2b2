#include "plugin/declared_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <tenon/cpp/options.hpp>

#include "plugin/handles.h"
#include "plugin/host_table.h"
#include "plugin/option_completion.h"
#include "plugin/option_faults.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What a plugin would write; the SDK's layer and the host's are of one namespace here.
constexpr const char* kModes[] = {"sum", "mean"};
constexpr tenon_option kOptions[] = {
    option::boolean("fast", true, "Whether to be fast."),
    option::integer("block", 4, {.minimum = 1, .maximum = 64}, "Rows of a block."),
    option::number("gain", 0.5, {.minimum = 0}, "A factor."),
    option::choice("mode", "sum", kModes, "How blocks are joined."),
    option::integers("sizes", {.minimum = 1}, "Sizes."),
    option::numbers("weights", {}, "Weights."),
    option::booleans("flags", "Flags."),
    option::texts("names", "Names."),
    option::nullable(option::integer("limit", 0, {}, "A limit.")),
    option::modules("inner", "Layers that are treated as inner."),
};
constexpr auto kTable = detail::kOptionTable<kOptions>;

std::vector<DeclaredOption> declared() {
  return read_declarations(kTable.data(), static_cast<std::uint32_t>(kTable.size()));
}

// The problems that one value makes, as a user reads them.
std::vector<std::string> problems_of(const std::string& key, OptionValue value) {
  std::vector<OptionProblem> problems;
  complete_options(declared(), {{key, std::move(value)}}, problems);
  std::vector<std::string> texts;
  for (const OptionProblem& problem : problems) texts.push_back(problem.key + " " + problem.text);
  return texts;
}

TEST(DeclaredOptions, DeclarationsOfEveryTypeAreSound) {
  EXPECT_EQ(check_declarations(kTable.data(), kTable.size()), std::nullopt);
}

TEST(DeclaredOptions, WhatIsNotGivenTakesItsDefault) {
  std::vector<OptionProblem> problems;
  const OptionTable complete = complete_options(declared(), {}, problems);
  EXPECT_THAT(problems, IsEmpty());
  EXPECT_EQ(complete.size(), kTable.size());
  EXPECT_EQ(complete.at("fast"), OptionValue(true));
  EXPECT_EQ(complete.at("mode"), OptionValue(std::string("sum")));
  EXPECT_EQ(complete.at("limit"), OptionValue(std::monostate()));
}

TEST(DeclaredOptions, AnIntegerServesAsAFloatAndAnEmptyListAsAnyList) {
  std::vector<OptionProblem> problems;
  const OptionTable complete = complete_options(declared(),
                                                {{"gain", std::int64_t{2}},
                                                 {"weights", std::vector<std::int64_t>{1, 2}},
                                                 {"names", std::vector<std::int64_t>{}}},
                                                problems);
  EXPECT_THAT(problems, IsEmpty());
  EXPECT_EQ(complete.at("gain"), OptionValue(2.0));
  EXPECT_EQ(complete.at("weights"), OptionValue(std::vector{1.0, 2.0}));
  EXPECT_EQ(complete.at("names"), OptionValue(std::vector<std::string>{}));
}

TEST(DeclaredOptions, EveryMisfitIsToldWithWhatIsWanted) {
  EXPECT_THAT(problems_of("fast", std::int64_t{1}),
              ElementsAre("fast must be true or false, not 1"));
  EXPECT_THAT(problems_of("block", std::int64_t{0}),
              ElementsAre("block must be an integer of at least 1 and at most 64, not 0"));
  EXPECT_THAT(problems_of("block", 2.5), ElementsAre(HasSubstr("not 2.5")));
  EXPECT_THAT(problems_of("gain", -1.0),
              ElementsAre("gain must be a number of at least 0, not -1"));
  EXPECT_THAT(problems_of("gain", std::numeric_limits<double>::quiet_NaN()),
              ElementsAre(HasSubstr("a number of at least 0, not nan")));
  EXPECT_THAT(problems_of("mode", std::string("men")),
              ElementsAre("mode must be one of `sum`, `mean`, not \"men\"; did you mean `mean`?"));
  EXPECT_THAT(problems_of("sizes", std::vector<std::int64_t>{3, 0}),
              ElementsAre("sizes must be a list of integers of at least 1, not [3, 0]"));
  EXPECT_THAT(problems_of("flags", std::vector<std::string>{"yes"}),
              ElementsAre("flags must be a list of true or false, not [\"yes\"]"));
  EXPECT_THAT(problems_of("inner", true),
              ElementsAre(HasSubstr("a regular expression or a list of module names")));
}

TEST(DeclaredOptions, ARequiredOptionThatIsMissingIsAProblem) {
  static constexpr tenon_option kRequired[] = {
      option::required(option::integer("width", 0, {}, "the width of the inner layer"))};
  static constexpr auto kPointers = detail::kOptionTable<kRequired>;
  std::vector<OptionProblem> problems;
  complete_options(read_declarations(kPointers.data(), 1), {}, problems);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].text, "is missing: the width of the inner layer");
}

TEST(DeclaredOptions, DeclarationsThatContradictThemselvesArePluginBugs) {
  static constexpr tenon_option kOutside[] = {
      option::integer("block", 0, {.minimum = 1}, "Rows of a block.")};
  static constexpr tenon_option kTwice[] = {option::boolean("x", true, ""),
                                            option::boolean("x", false, "")};
  static constexpr tenon_option kNoType[] = {option::declare("x", 1U << 20U, {}, "")};
  const auto bug = [](const auto& table) {
    return check_declarations(table.data(), static_cast<std::uint32_t>(table.size())).value_or("");
  };
  EXPECT_EQ(bug(detail::kOptionTable<kOutside>),
            "the default of option `block` is not an integer of at least 1");
  EXPECT_EQ(bug(detail::kOptionTable<kTwice>), "option `x` is declared twice");
  EXPECT_EQ(bug(detail::kOptionTable<kNoType>), "option `x` has no known type");
}

TEST(DeclaredOptions, APluginReadsEachTypeAsDeclared) {
  const tenon_setup setup{{{"names", std::vector<std::string>{"a", "bc"}},
                           {"flags", TruthList{{1, 0}}},
                           {"limit", std::monostate()},
                           {"gain", 0.5}},
                          {},
                          {}};
  tenon_value value{};
  tenon_error error;
  const auto read = [&](const char* key) {
    return host_table().option(&setup, key, &value, &error);
  };
  ASSERT_EQ(read("names"), TENON_OK);
  ASSERT_EQ(value.tag, static_cast<std::uint32_t>(TENON_VALUE_STRING_LIST));
  ASSERT_EQ(value.n, 2U);
  EXPECT_EQ(std::string(value.u.ss[1]), "bc");
  ASSERT_EQ(read("flags"), TENON_OK);
  ASSERT_EQ(value.tag, static_cast<std::uint32_t>(TENON_VALUE_BOOL_LIST));
  EXPECT_EQ(value.u.bs[0], 1);
  EXPECT_EQ(value.u.bs[1], 0);
  ASSERT_EQ(read("limit"), TENON_OK);
  EXPECT_EQ(value.tag, static_cast<std::uint32_t>(TENON_VALUE_NONE));
  EXPECT_EQ(read("gian"), TENON_INVALID_ARGUMENT);
  EXPECT_EQ(error.text, "there is no option `gian`");
}

}  // namespace
}  // namespace tenon
