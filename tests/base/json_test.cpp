#include "base/json.h"

#include "support/error_matchers.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;

const Failure kContext = {
    .stage = Stage::kAdapter, .message = "its header", .hint = "save again", .location = "a.json"};

TEST(JsonTest, OrderedTablesKeepTheOrderOfTheText) {
  EXPECT_EQ(parse_ordered_json(R"({"b":1,"a":{"d":2,"c":3}})", kContext).dump(),
            R"({"b":1,"a":{"d":2,"c":3}})");
}

TEST(JsonTest, SameNameInDifferentTablesIsKept) {
  EXPECT_EQ(parse_json(R"({"a":{"x":1},"b":{"x":{"a":2}}})", kContext).size(), 2);
}

// Of a length that a reader which looks through a table for each value does not finish.
TEST(JsonTest, ManyValuesInOneTableAreReadInTimeThatGrowsWithThem) {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += "\"k" + std::to_string(i) + "\":{\"a\":[1]},";
  text.back() = '}';
  EXPECT_EQ(parse_json(text, kContext).size(), 200'000);
}

struct BadText {
  const char* name;
  std::string text;
  const char* expected;
};

class BadJsonTest : public ::testing::TestWithParam<BadText> {};

TEST_P(BadJsonTest, IsRejectedWithPlaceAndReason) {
  const std::string plain = error_text([] { parse_json(GetParam().text, kContext); });
  EXPECT_THAT(plain, HasSubstr(GetParam().expected));
  EXPECT_THAT(plain, HasSubstr("a.json"));
  EXPECT_EQ(error_text([] { parse_ordered_json(GetParam().text, kContext); }), plain);
}

INSTANTIATE_TEST_SUITE_P(
    Texts, BadJsonTest,
    ::testing::Values(
        BadText{"Empty", "", "its header is not valid JSON: parse error at line 1, column 1"},
        BadText{"CutShort", R"({"a":)", "its header is not valid JSON: parse error"},
        BadText{"TrailingText", "{} x", "its header is not valid JSON: parse error"},
        BadText{"NotUtf8", "{\"a\":\"\xff\"}", "its header is not valid JSON: parse error"},
        BadText{"NotUtf8AtItsStart", "\xff{}", "invalid literal; last read: '\\xff'"},
        BadText{"NumberTooLarge", R"({"a":1e999})",
                "its header is not valid JSON: number overflow"},
        BadText{"TwiceInOneTable", R"({"a":{"x":1,"y":2,"x":3}})", "its header gives `x` twice"},
        BadText{"DeepLists", std::string(100000, '['), "its header is nested deeper than 32"},
        BadText{"DeepTables", "{\"a\":" + std::string(40, '[') + std::string(40, ']') + "}",
                "its header is nested deeper than 32 levels"}),
    [](const auto& test) { return test.param.name; });

TEST(JsonTest, LongExcerptsAreCutBetweenCharacters) {
  std::string letters;
  for (int i = 0; i < 60; ++i) letters += "\u00e9";
  const std::string excerpt = json_excerpt(letters);
  EXPECT_EQ(excerpt, "\"" + letters.substr(0, 78) + "...");
  EXPECT_EQ(json_excerpt(OrderedJson{{"a", 1}}), R"({"a":1})");
}

TEST(JsonTest, KindsReadLikeWords) {
  EXPECT_EQ(json_kind(nullptr), "null");
  EXPECT_EQ(json_kind(true), "true or false");
  EXPECT_EQ(json_kind("x"), "a string");
  EXPECT_EQ(json_kind(OrderedJson::array()), "a list");
  EXPECT_EQ(json_kind(OrderedJson::object()), "a table");
  EXPECT_EQ(json_kind(1.5), "a number");
}

}  // namespace
}  // namespace tenon
