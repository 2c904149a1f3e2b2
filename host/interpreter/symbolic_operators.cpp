#include "interpreter/symbolic_operators.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include "base/error.h"

namespace tenon {
namespace {

using Values = std::vector<c10::IValue>;

double real(const c10::IValue& value) { return value.toScalar().toDouble(); }
std::int64_t integer(const c10::IValue& value) { return value.toScalar().toLong(); }
bool both_integers(const Values& v) { return !v.at(0).isDouble() && !v.at(1).isDouble(); }

// Python's numbers have no end; sizes have.
struct Sum {
  double operator()(double a, double b) const { return a + b; }
  std::int64_t operator()(std::int64_t a, std::int64_t b) const {
    std::int64_t result = 0;
    if (__builtin_add_overflow(a, b, &result))
      throw std::domain_error("a sum of sizes is too large");
    return result;
  }
};
struct Difference {
  double operator()(double a, double b) const { return a - b; }
  std::int64_t operator()(std::int64_t a, std::int64_t b) const {
    std::int64_t result = 0;
    if (__builtin_sub_overflow(a, b, &result)) {
      throw std::domain_error("a difference of sizes is too large");
    }
    return result;
  }
};
struct Product {
  double operator()(double a, double b) const { return a * b; }
  std::int64_t operator()(std::int64_t a, std::int64_t b) const {
    std::int64_t result = 0;
    if (__builtin_mul_overflow(a, b, &result)) {
      throw std::domain_error("a product of sizes is too large");
    }
    return result;
  }
};

std::int64_t negative(std::int64_t value) { return Difference()(std::int64_t{0}, value); }

std::int64_t whole(double value) {
  constexpr double kEnd = 9223372036854775808.0;  // 2^63
  if (!(value >= -kEnd && value < kEnd)) {
    throw std::domain_error("a size of " + std::to_string(value) + " is no whole number");
  }
  return static_cast<std::int64_t>(value);
}

// Python's floor division and modulo: the remainder has the sign of the divisor.
std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  if (b == 0) throw std::domain_error("division of a size by zero");
  if (b == -1) return negative(a);  // the processor traps where this overflows
  const std::int64_t quotient = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? quotient - 1 : quotient;
}

template <typename Operation>
c10::IValue arithmetic(const Values& v, Operation operation) {
  if (both_integers(v)) return operation(integer(v[0]), integer(v[1]));
  return operation(real(v[0]), real(v[1]));
}

c10::IValue add(const Values& v) { return arithmetic(v, Sum()); }
c10::IValue sub(const Values& v) { return arithmetic(v, Difference()); }
c10::IValue mul(const Values& v) { return arithmetic(v, Product()); }
c10::IValue maximum(const Values& v) {
  return arithmetic(v, [](auto a, auto b) { return std::max(a, b); });
}
c10::IValue minimum(const Values& v) {
  return arithmetic(v, [](auto a, auto b) { return std::min(a, b); });
}
c10::IValue truediv(const Values& v) { return real(v.at(0)) / real(v.at(1)); }
c10::IValue floordiv(const Values& v) {
  if (both_integers(v)) return floor_divide(integer(v[0]), integer(v[1]));
  return std::floor(real(v[0]) / real(v[1]));
}
c10::IValue mod(const Values& v) {
  if (both_integers(v)) {
    if (integer(v[1]) == -1) return std::int64_t{0};
    return integer(v[0]) - floor_divide(integer(v[0]), integer(v[1])) * integer(v[1]);
  }
  return real(v[0]) - std::floor(real(v[0]) / real(v[1])) * real(v[1]);
}
// Exact where a double would round: sizes are whole numbers.
std::int64_t integer_power(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  for (; exponent > 0; --exponent) {
    if (__builtin_mul_overflow(result, base, &result)) {
      throw std::domain_error("a power of a size is too large");
    }
    if (result == 0 || base == 1) break;
    if (base == -1) return exponent % 2 == 0 ? 1 : -1;
  }
  return result;
}
std::int64_t shift_count(const Values& v) {
  if (integer(v.at(1)) < 0) throw std::domain_error("a size is shifted by a negative number");
  return integer(v[1]);
}
c10::IValue power(const Values& v) {
  if (both_integers(v) && integer(v.at(1)) >= 0) return integer_power(integer(v[0]), integer(v[1]));
  return std::pow(real(v.at(0)), real(v.at(1)));
}
c10::IValue negate(const Values& v) {
  if (v.at(0).isDouble()) return -v[0].toDouble();
  return negative(integer(v[0]));
}
c10::IValue positive(const Values& v) { return v.at(0); }
c10::IValue absolute(const Values& v) {
  if (v.at(0).isDouble()) return std::abs(v[0].toDouble());
  return integer(v[0]) < 0 ? negative(integer(v[0])) : integer(v[0]);
}

c10::IValue equal(const Values& v) { return real(v.at(0)) == real(v.at(1)); }
c10::IValue not_equal(const Values& v) { return real(v.at(0)) != real(v.at(1)); }
c10::IValue less(const Values& v) { return real(v.at(0)) < real(v.at(1)); }
c10::IValue less_equal(const Values& v) { return real(v.at(0)) <= real(v.at(1)); }
c10::IValue greater(const Values& v) { return real(v.at(0)) > real(v.at(1)); }
c10::IValue greater_equal(const Values& v) { return real(v.at(0)) >= real(v.at(1)); }

c10::IValue bit_and(const Values& v) {
  if (v.at(0).isBool() && v.at(1).isBool()) return v[0].toBool() && v[1].toBool();
  return integer(v[0]) & integer(v[1]);
}
c10::IValue bit_or(const Values& v) {
  if (v.at(0).isBool() && v.at(1).isBool()) return v[0].toBool() || v[1].toBool();
  return integer(v[0]) | integer(v[1]);
}
c10::IValue bit_xor(const Values& v) {
  if (v.at(0).isBool() && v.at(1).isBool()) return v[0].toBool() != v[1].toBool();
  return integer(v[0]) ^ integer(v[1]);
}
c10::IValue bit_not(const Values& v) { return ~integer(v.at(0)); }
c10::IValue shift_left(const Values& v) {
  std::int64_t factor = integer_power(2, shift_count(v));
  if (__builtin_mul_overflow(integer(v[0]), factor, &factor)) {
    throw std::domain_error("a shifted size is too large");
  }
  return factor;
}
// Arithmetic, as Python's: the sign stays.
c10::IValue shift_right(const Values& v) {
  return integer(v[0]) >> std::min<std::int64_t>(shift_count(v), 63);
}
c10::IValue logical_not(const Values& v) { return !v.at(0).toScalar().toBool(); }
c10::IValue if_then_else(const Values& v) {
  return v.at(0).toScalar().toBool() ? v.at(1) : v.at(2);
}

c10::IValue ceiling(const Values& v) { return whole(std::ceil(real(v.at(0)))); }
c10::IValue floor(const Values& v) { return whole(std::floor(real(v.at(0)))); }
c10::IValue truncate(const Values& v) { return whole(std::trunc(real(v.at(0)))); }
// Python rounds halves to even, as the default floating-point mode does.
c10::IValue round_even(const Values& v) { return whole(std::nearbyint(real(v.at(0)))); }
c10::IValue to_float(const Values& v) { return real(v.at(0)); }
c10::IValue to_int(const Values& v) { return truncate(v); }
c10::IValue sum(const Values& v) {
  c10::IValue result = std::int64_t{0};
  for (const c10::IValue& item : v.at(0).toListRef()) result = add({result, item});
  return result;
}
template <double (*kFunction)(double)>
c10::IValue function(const Values& v) {
  return kFunction(real(v.at(0)));
}

// A captured model's C++ code went on from this number, so another one would have led it elsewhere.
c10::IValue expect(const Values& v) {
  if (v.at(0) == v.at(1)) return true;
  throw Error({.stage = Stage::kModel,
               .message = "this input would take the model another way than the one that was "
                          "captured: " +
                          v.at(2).toStringRef() + ", gives " + c10::str(v[0]) + ", not " +
                          c10::str(v[1])});
}

}  // namespace

SymbolicOperator find_symbolic_operator(std::string_view target) {
  static const std::unordered_map<std::string_view, SymbolicOperator> kOperators{
      {"_operator.add", add},
      {"_operator.sub", sub},
      {"_operator.mul", mul},
      {"_operator.truediv", truediv},
      {"_operator.floordiv", floordiv},
      {"_operator.mod", mod},
      {"_operator.pow", power},
      {"_operator.neg", negate},
      {"_operator.pos", positive},
      {"_operator.abs", absolute},
      {"_operator.eq", equal},
      {"_operator.ne", not_equal},
      {"_operator.lt", less},
      {"_operator.le", less_equal},
      {"_operator.gt", greater},
      {"_operator.ge", greater_equal},
      {"_operator.and_", bit_and},
      {"_operator.or_", bit_or},
      {"_operator.xor", bit_xor},
      {"_operator.invert", bit_not},
      {"_operator.lshift", shift_left},
      {"_operator.rshift", shift_right},
      {"_operator.not_", logical_not},
      {"math.ceil", ceiling},
      {"math.floor", floor},
      {"math.trunc", truncate},
      {"math.sqrt", function<std::sqrt>},
      {"round", round_even},
      {"torch.sym_max", maximum},
      {"torch.sym_min", minimum},
      {"torch.sym_float", to_float},
      {"torch.sym_int", to_int},
      {"torch.sym_not", logical_not},
      {"torch.sym_ite", if_then_else},
      {"torch.sym_sum", sum},
      {"torch._sym_sqrt", function<std::sqrt>},
      {"torch._sym_cos", function<std::cos>},
      {"torch._sym_cosh", function<std::cosh>},
      {"torch._sym_sin", function<std::sin>},
      {"torch._sym_sinh", function<std::sinh>},
      {"torch._sym_tan", function<std::tan>},
      {"torch._sym_tanh", function<std::tanh>},
      {"torch._sym_asin", function<std::asin>},
      {"torch._sym_acos", function<std::acos>},
      {"torch._sym_atan", function<std::atan>},
      {"torch._sym_log2", function<std::log2>},
      {"tenon.expect", expect},
  };
  const auto found = kOperators.find(target);
  return found == kOperators.end() ? nullptr : found->second;
}

}  // namespace tenon
