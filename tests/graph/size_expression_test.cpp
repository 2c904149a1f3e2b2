#include "graph/size_expression.h"

#include <gmock/gmock.h>

#include <string>

namespace tenon {
namespace {

// x is (6, 4), a.b is (9); s0 is 6.
std::optional<std::int64_t> size(const SizeExpression::Variable& variable) {
  if (variable.name == "x") return variable.dimension == 0 ? 6 : 4;
  if (variable.name == "a_b") return 9;
  if (variable.name == "s0") return 6;
  return std::nullopt;
}

struct Formula {
  std::string name;
  std::string text;
  double value;
};

class EvaluatesTest : public ::testing::TestWithParam<Formula> {};

TEST_P(EvaluatesTest, AsPythonDoes) {
  const auto parsed = SizeExpression::parse(GetParam().text);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->evaluate(size), GetParam().value);
}

INSTANTIATE_TEST_SUITE_P(
    SizeExpression, EvaluatesTest,
    ::testing::Values(
        Formula{"Guard", "L['x'].size()[0] > 5", 1},
        Formula{"Precedence", "1 + 2*L['x'].size()[0]**2 // 5 % 4", 3},
        Formula{"PowerBindsTighterThanMinus", "-2**2", -4},
        Formula{"DifferencesAssociateLeft", "10 - 4 - 3", 3},
        Formula{"FloorsTowardsMinusInfinity", "-7 // 2", -4},
        Formula{"RemainderHasTheDivisorsSign", "-7 % 4", 1},
        Formula{"NestedInput", "L['a']['b'].size()[0] == (1 + 2*L['x'].size()[1])", 1},
        Formula{"Logic", "not 3 == 4 and (1 > 2 or 2 >= 2)", 1},
        Formula{"Calls", "max(2, math.ceil(7 / 2), 3)", 4},
        Formula{"Sympy",
                "Add(Mul(Integer(2), Symbol('s0', positive=True, integer=True)), Integer(1))", 13},
        Formula{"SympyDivision", "FloorDiv(Mul(Integer(3), Symbol('s0')), Integer(4))", 4},
        Formula{"SympyPower", "Pow(Symbol('s0'), Integer(2))", 36}),
    [](const auto& instance) { return instance.param.name; });

TEST(SizeExpression, IsWrittenInTheUsersWords) {
  const auto parsed =
      SizeExpression::parse("Add(Mul(Integer(2), Symbol('s0', integer=True)), Integer(1))");
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->text([](const auto& variable) { return variable.name; }), "(2 * s0) + 1");
}

TEST(SizeExpression, HasNoValueWithoutItsVariablesOrByDivisionByZero) {
  EXPECT_EQ(SizeExpression::parse("L['y'].size()[0] + 1")->evaluate(size), std::nullopt);
  EXPECT_EQ(SizeExpression::parse("1 // (L['x'].size()[0] - 6)")->evaluate(size), std::nullopt);
}

TEST(SizeExpression, WhatIsNoFormulaIsNone) {
  for (const char* text : {"", "1 +", "L['x'", "f(1)", "1 2", "a", "L['x'].size()[x]", "1 < 2 < 3",
                           "Symbol('s0'", "max()", "1)"}) {
    EXPECT_FALSE(SizeExpression::parse(text).has_value()) << text;
  }
  for (const char* opening : {"(", "-", "not ", "max("}) {
    std::string deep;
    for (int i = 0; i < 100000; ++i) deep += opening;
    EXPECT_FALSE(SizeExpression::parse(deep).has_value()) << opening;
  }
}

}  // namespace
}  // namespace tenon
