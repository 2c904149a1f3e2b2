#include "data/csv.h"

#include "support/error_matchers.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::vector<std::string>> records(const std::string& text) {
  CsvReader reader(text, "data.csv");
  std::vector<std::vector<std::string>> all;
  while (const auto* fields = reader.next()) all.emplace_back(fields->begin(), fields->end());
  return all;
}

TEST(CsvReader, SplitsRecordsAndQuotedFields) {
  EXPECT_THAT(records("a,b\n1,2\n"), ElementsAre(ElementsAre("a", "b"), ElementsAre("1", "2")));
  EXPECT_THAT(records("\"a, b\",\"say \"\"hi\"\"\"\n\"two\nlines\","),
              ElementsAre(ElementsAre("a, b", "say \"hi\""), ElementsAre("two\nlines", "")));
}

TEST(CsvReader, SkipsByteOrderMarkCarriageReturnsAndEmptyLines) {
  EXPECT_THAT(records("\xEF\xBB\xBF"
                      "a,b\r\n\r\n1,2\r\n\n"),
              ElementsAre(ElementsAre("a", "b"), ElementsAre("1", "2")));
}

TEST(CsvReader, CountsLinesThroughQuotedLineEndsAndEmptyLines) {
  const std::string text = "a\n\"1\n2\"\n\n3\n";
  CsvReader reader(text, "data.csv");
  std::vector<std::int64_t> lines;
  while (reader.next() != nullptr) lines.push_back(reader.line());
  EXPECT_THAT(lines, ElementsAre(1, 2, 5));
}

TEST(CsvNumbers, ReadsChosenColumnsInTheirOrder) {
  const CsvNumbers numbers =
      read_csv_numbers("a,label,b\n1, +2 ,3e-1\n-4,5.0,\"6\"\n", "data.csv", {2, 0}, 1);
  EXPECT_EQ(numbers.rows, 2);
  EXPECT_THAT(numbers.floats, ElementsAre(0.3F, 1.0F, 6.0F, -4.0F));
  EXPECT_THAT(numbers.integers, ElementsAre(2, 5));
}

TEST(CsvNumbers, ColumnsThatAreNotUsedMayHoldText) {
  EXPECT_THAT(read_csv_numbers("name,a\nAnn,1\n", "data.csv", {1}, {}).floats, ElementsAre(1.0F));
}

TEST(CsvNumbers, ShowsTenMisfitsAndCountsTheRest) {
  std::string text = "a\n";
  for (int i = 0; i < 13; ++i) text += "bad\n";
  const std::string error = error_text([&] { read_csv_numbers(text, "data.csv", {0}, {}); });
  EXPECT_THAT(error, HasSubstr("13 places cannot be read:"));
  EXPECT_THAT(error, HasSubstr("data.csv:11: column `a` `bad` is not a number"));
  EXPECT_THAT(error, Not(HasSubstr("data.csv:12:")));
  EXPECT_THAT(error, HasSubstr("and 3 more"));
}

TEST(CsvHeader, CountingNamesOfUnnamedDataFramesAreNames) {
  EXPECT_THAT(read_csv_header("0,1,2\n5,6,7\n", "data.csv"), ElementsAre("0", "1", "2"));
}

struct Malformed {
  const char* name;
  const char* text;
  const char* expected;
};

class CsvMalformed : public ::testing::TestWithParam<Malformed> {};

TEST_P(CsvMalformed, IsRejectedWithItsPlace) {
  EXPECT_THAT(error_text([] { read_csv_numbers(GetParam().text, "data.csv", {0}, 1); }),
              HasSubstr(GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(
    Table, CsvMalformed,
    ::testing::Values(
        Malformed{"NoHeader", "\n\n", "data.csv: the file has no header line"},
        Malformed{"HeaderOfNumbers", "0.5,1\n0.25,0\n",
                  "data.csv:1: the first line holds numbers, not column names"},
        Malformed{"RepeatedName", "a,a\n1,2\n", "data.csv:1: two columns are named `a`"},
        Malformed{"UnnamedColumn", "a,\n1,2\n", "data.csv:1: column 2 has no name"},
        Malformed{"Text", "a,y\n1,2\nx1,2\n", "data.csv:3: column `a` `x1` is not a number"},
        Malformed{"TrailingUnit", "a,y\n1kg,2\n", "column `a` `1kg` is not a number"},
        Malformed{"Empty", "a,y\n,2\n", "data.csv:2: column `a` is empty"},
        Malformed{"NotANumberWord", "a,y\nnan,2\n", "`nan` is not a finite number"},
        Malformed{"Infinity", "a,y\n-inf,2\n", "`-inf` is not a finite number"},
        Malformed{"TooLargeForFloat", "a,y\n1e39,2\n", "`1e39` does not fit float32"},
        Malformed{"TooLargeForDouble", "a,y\n1e999,2\n", "`1e999` does not fit float32"},
        Malformed{"FractionAsClass", "a,y\n1,2.5\n", "column `y` `2.5` is not a whole number"},
        Malformed{"ClassTooLarge", "a,y\n1,99999999999999999999\n", "does not fit int64"},
        Malformed{"ShortRow", "a,y\n1,2\n1\n", "data.csv:3: 1 fields where the header has 2"},
        Malformed{"LongRow", "a,y\n1,2,3\n", "data.csv:2: 3 fields where the header has 2"},
        Malformed{"OpenQuote", "a,y\n\"1,2\n", "data.csv:2: this record has a quote that is never"},
        Malformed{"TextAfterQuote", "a,y\n\"1\"2,3\n", "text after a closing quote"},
        Malformed{"QuoteInside", "a,y\n1\"2\",3\n", "a quote inside a field"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tenon
