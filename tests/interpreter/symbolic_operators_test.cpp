#include "interpreter/symbolic_operators.h"

#include <gtest/gtest.h>

#include <ostream>
#include <stdexcept>
#include <string>

namespace tenon {
namespace {

// What Python gives for the same expression.
struct Expression {
  std::string name;
  std::vector<c10::IValue> values;
  c10::IValue result;
};
void PrintTo(const Expression& expression, std::ostream* out) { *out << expression.name; }

c10::IValue integer(std::int64_t value) { return value; }

class SymbolicOperators : public ::testing::TestWithParam<Expression> {};

TEST_P(SymbolicOperators, CalculateAsPythonDoes) {
  const SymbolicOperator op = find_symbolic_operator(GetParam().name);
  ASSERT_NE(op, nullptr);
  const c10::IValue result = op(GetParam().values);
  EXPECT_EQ(result.tagKind(), GetParam().result.tagKind());
  EXPECT_EQ(result, GetParam().result);
}

INSTANTIATE_TEST_SUITE_P(
    Expressions, SymbolicOperators,
    ::testing::Values(
        Expression{"_operator.add", {integer(3), integer(4)}, integer(7)},
        Expression{"_operator.add", {integer(3), 0.5}, 3.5},
        Expression{"_operator.sub", {integer(3), integer(4)}, integer(-1)},
        Expression{"_operator.mul", {integer(3), integer(4)}, integer(12)},
        Expression{"_operator.truediv", {integer(7), integer(2)}, 3.5},
        Expression{"_operator.floordiv", {integer(7), integer(2)}, integer(3)},
        Expression{"_operator.floordiv", {integer(-7), integer(2)}, integer(-4)},
        Expression{"_operator.floordiv", {integer(7), integer(-2)}, integer(-4)},
        Expression{"_operator.floordiv", {-7.0, integer(2)}, -4.0},
        Expression{"_operator.mod", {integer(-7), integer(3)}, integer(2)},
        Expression{"_operator.mod", {integer(7), integer(-3)}, integer(-2)},
        Expression{"_operator.pow", {integer(3), integer(39)}, integer(4052555153018976267)},
        Expression{"_operator.pow", {integer(2), integer(-1)}, 0.5},
        Expression{"_operator.neg", {integer(5)}, integer(-5)},
        Expression{"_operator.lshift", {integer(5), integer(3)}, integer(40)},
        Expression{"_operator.rshift", {integer(-5), integer(1)}, integer(-3)},
        Expression{"_operator.rshift", {integer(5), integer(70)}, integer(0)},
        Expression{"_operator.xor", {integer(6), integer(3)}, integer(5)},
        Expression{"_operator.invert", {integer(6)}, integer(-7)},
        Expression{"torch.sym_sum", {c10::impl::GenericList(c10::AnyType::get())}, integer(0)},
        Expression{"torch._sym_log2", {integer(8)}, 3.0},
        Expression{"_operator.abs", {integer(-5)}, integer(5)},
        Expression{"_operator.eq", {integer(5), integer(5)}, true},
        Expression{"_operator.lt", {integer(5), integer(5)}, false},
        Expression{"_operator.ge", {integer(5), integer(5)}, true},
        Expression{"_operator.and_", {true, false}, false},
        Expression{"_operator.or_", {integer(6), integer(1)}, integer(7)},
        Expression{"math.ceil", {2.1}, integer(3)}, Expression{"math.floor", {-2.1}, integer(-3)},
        Expression{"math.trunc", {-2.9}, integer(-2)}, Expression{"round", {2.5}, integer(2)},
        Expression{"round", {3.5}, integer(4)},
        Expression{"torch.sym_max", {integer(3), integer(9)}, integer(9)},
        Expression{"torch.sym_min", {integer(3), integer(9)}, integer(3)},
        Expression{"torch.sym_float", {integer(3)}, 3.0},
        Expression{"torch.sym_not", {false}, true},
        Expression{"torch.sym_ite", {true, integer(1), integer(2)}, integer(1)}),
    [](const auto& test) {
      std::string name = test.param.name + "_" + std::to_string(test.index);
      for (char& c : name) {
        if (c == '.') c = '_';
      }
      return name;
    });

TEST(SymbolicOperator, DivisionByZeroIsAnErrorAndNoSignal) {
  EXPECT_THROW(find_symbolic_operator("_operator.floordiv")({integer(1), integer(0)}),
               std::domain_error);
  EXPECT_THROW(find_symbolic_operator("_operator.mod")({integer(1), integer(0)}),
               std::domain_error);
}

TEST(SymbolicOperator, UnknownNamesAreNotGuessed) {
  EXPECT_EQ(find_symbolic_operator("_operator.matmul"), nullptr);
  EXPECT_EQ(find_symbolic_operator(""), nullptr);
}

TEST(SymbolicOperatorsTest, NumbersThatDoNotFitAreToldAndNotCutOff) {
  const auto compute = [](std::string_view name, std::vector<c10::IValue> values) {
    return find_symbolic_operator(name)(values);
  };
  EXPECT_THROW(compute("_operator.add", {integer(INT64_MAX), integer(1)}), std::domain_error);
  EXPECT_THROW(compute("_operator.sub", {integer(INT64_MIN), integer(1)}), std::domain_error);
  EXPECT_THROW(compute("_operator.mul", {integer(INT64_MAX), integer(2)}), std::domain_error);
  EXPECT_THROW(compute("_operator.neg", {integer(INT64_MIN)}), std::domain_error);
  EXPECT_THROW(compute("_operator.abs", {integer(INT64_MIN)}), std::domain_error);
  EXPECT_THROW(compute("_operator.floordiv", {integer(INT64_MIN), integer(-1)}), std::domain_error);
  EXPECT_EQ(compute("_operator.mod", {integer(INT64_MIN), integer(-1)}), integer(0));
  EXPECT_EQ(compute("_operator.pow", {integer(-1), integer(INT64_MAX)}), integer(-1));
  EXPECT_EQ(compute("_operator.pow", {integer(-1), integer(INT64_MAX - 1)}), integer(1));
  EXPECT_THROW(compute("math.ceil", {1e300}), std::domain_error);
}

}  // namespace
}  // namespace tenon
