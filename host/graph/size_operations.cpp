#include "graph/size_operations.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tenon {
// Of this name, since the operators on symbols have the same ones.
namespace size_math {
namespace {

using Values = std::vector<double>;

constexpr std::size_t kAny = 1000;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// Python's: the remainder has the sign of the divisor.
double modulo(double a, double b) {
  if (b == 0) return kNone;
  const double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double sum(const Values& v) {
  double result = 0;
  for (const double one : v) result += one;
  return result;
}
double product(const Values& v) {
  double result = 1;
  for (const double one : v) result *= one;
  return result;
}
double difference(const Values& v) { return v[0] - v[1]; }
double negative(const Values& v) { return -v[0]; }
double quotient(const Values& v) { return v[1] == 0 ? kNone : v[0] / v[1]; }
double floor_quotient(const Values& v) {
  return v[1] == 0 ? kNone : (v[0] - modulo(v[0], v[1])) / v[1];
}
double remainder(const Values& v) { return modulo(v[0], v[1]); }
double power(const Values& v) { return std::pow(v[0], v[1]); }
double greatest(const Values& v) { return *std::max_element(v.begin(), v.end()); }
double smallest(const Values& v) { return *std::min_element(v.begin(), v.end()); }
double floor(const Values& v) { return std::floor(v[0]); }
double ceiling(const Values& v) { return std::ceil(v[0]); }
double truncate(const Values& v) { return std::trunc(v[0]); }
double nearest(const Values& v) { return std::nearbyint(v[0]); }
double root(const Values& v) { return std::sqrt(v[0]); }
double magnitude(const Values& v) { return std::abs(v[0]); }
double same(const Values& v) { return v[0]; }
double equal(const Values& v) { return v[0] == v[1] ? 1 : 0; }
double unequal(const Values& v) { return v[0] != v[1] ? 1 : 0; }
double less(const Values& v) { return v[0] < v[1] ? 1 : 0; }
double at_most(const Values& v) { return v[0] <= v[1] ? 1 : 0; }
double more(const Values& v) { return v[0] > v[1] ? 1 : 0; }
double at_least(const Values& v) { return v[0] >= v[1] ? 1 : 0; }
double all(const Values& v) {
  return std::all_of(v.begin(), v.end(), [](double one) { return one != 0; }) ? 1 : 0;
}
double any(const Values& v) {
  return std::any_of(v.begin(), v.end(), [](double one) { return one != 0; }) ? 1 : 0;
}
double inverse(const Values& v) { return v[0] == 0 ? 1 : 0; }

constexpr SizeOperation kOperations[] = {
    {"Add", "+", 2, kAny, sum},
    {"Mul", "*", 2, kAny, product},
    {"", "-", 2, 2, difference},
    {"", "-", 1, 1, negative},
    {"Rational", "/", 2, 2, quotient},
    {"IntTrueDiv", "/", 2, 2, quotient},
    {"FloatTrueDiv", "/", 2, 2, quotient},
    {"FloorDiv", "//", 2, 2, floor_quotient},
    {"CleanDiv", "//", 2, 2, floor_quotient},
    {"Mod", "%", 2, 2, remainder},
    {"PythonMod", "%", 2, 2, remainder},
    {"Pow", "**", 2, 2, power},
    {"PowByNatural", "**", 2, 2, power},
    {"Max", "", 1, kAny, greatest},
    {"max", "", 1, kAny, greatest},
    {"Min", "", 1, kAny, smallest},
    {"min", "", 1, kAny, smallest},
    {"math.floor", "", 1, 1, floor},
    {"FloorToInt", "", 1, 1, floor},
    {"floor", "", 1, 1, floor},
    {"math.ceil", "", 1, 1, ceiling},
    {"CeilToInt", "", 1, 1, ceiling},
    {"ceiling", "", 1, 1, ceiling},
    {"math.trunc", "", 1, 1, truncate},
    {"TruncToInt", "", 1, 1, truncate},
    {"int", "", 1, 1, truncate},
    {"round", "", 1, 1, nearest},
    {"RoundToInt", "", 1, 1, nearest},
    {"math.sqrt", "", 1, 1, root},
    {"abs", "", 1, 1, magnitude},
    {"Abs", "", 1, 1, magnitude},
    {"Integer", "", 1, 1, same},
    {"Float", "", 1, 1, same},
    {"ToFloat", "", 1, 1, same},
    {"float", "", 1, 1, same},
    {"Equality", "==", 2, 2, equal},
    {"Unequality", "!=", 2, 2, unequal},
    {"StrictLessThan", "<", 2, 2, less},
    {"LessThan", "<=", 2, 2, at_most},
    {"StrictGreaterThan", ">", 2, 2, more},
    {"GreaterThan", ">=", 2, 2, at_least},
    {"And", "and", 2, kAny, all},
    {"Or", "or", 2, kAny, any},
    {"Not", "not", 1, 1, inverse},
};

template <typename Matches>
std::optional<std::size_t> find(std::size_t operands, const Matches& matches) {
  for (std::size_t i = 0; i < std::size(kOperations); ++i) {
    const SizeOperation& one = kOperations[i];
    if (matches(one) && one.least <= operands && operands <= one.most) return i;
  }
  return std::nullopt;
}

}  // namespace
}  // namespace size_math

std::optional<std::size_t> find_size_function(std::string_view name, std::size_t operands) {
  return size_math::find(
      operands, [&](const SizeOperation& one) { return !name.empty() && one.name == name; });
}

std::optional<std::size_t> find_size_operator(std::string_view symbol, std::size_t operands) {
  return size_math::find(
      operands, [&](const SizeOperation& one) { return !symbol.empty() && one.symbol == symbol; });
}

const SizeOperation& size_operation(std::size_t index) { return size_math::kOperations[index]; }

}  // namespace tenon
