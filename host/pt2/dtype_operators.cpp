#include "pt2/dtype_operators.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>

#include "graph/graph_walk.h"

namespace tenon {
namespace {

constexpr auto kCasts = std::to_array<std::string_view>(
    {"aten::to", "aten::_to_copy", "aten::type_as", "prims::convert_element_type"});
constexpr auto kViews = std::to_array<std::string_view>(
    {"aten::unsqueeze", "aten::squeeze",    "aten::slice",           "aten::select",
     "aten::expand",    "aten::view",       "aten::reshape",         "aten::permute",
     "aten::transpose", "aten::t",          "aten::alias",           "aten::detach",
     "aten::detach_",   "aten::contiguous", "aten::lift_fresh_copy", "aten::flatten",
     "aten::unflatten", "aten::narrow",     "aten::chunk",           "aten::split",
     "aten::clone",     "aten::unbind",     "aten::split_with_sizes"});
constexpr auto kPromoting = std::to_array<std::string_view>(
    {"aten::add",     "aten::sub",     "aten::rsub",         "aten::mul",         "aten::div",
     "aten::where",   "aten::maximum", "aten::minimum",      "aten::fmax",        "aten::fmin",
     "aten::pow",     "aten::atan2",   "aten::floor_divide", "aten::remainder",   "aten::fmod",
     "aten::cat",     "aten::stack",   "aten::concat",       "aten::eq",          "aten::ne",
     "aten::lt",      "aten::le",      "aten::gt",           "aten::ge",          "aten::hypot",
     "aten::addcmul", "aten::addcdiv", "aten::copysign",     "aten::true_divide", "aten::multiply",
     "aten::hstack",  "aten::vstack",  "aten::subtract",     "aten::clamp",       "aten::divide",
     "aten::isclose", "aten::max",     "aten::min",          "aten::logical_and"});
constexpr auto kFirstDecides = std::to_array<std::string_view>(
    {"aten::expand_as", "aten::view_as", "aten::reshape_as", "aten::masked_fill", "aten::add_",
     "aten::sub_", "aten::mul_", "aten::div_", "aten::copy_", "aten::masked_fill_", "aten::clamp_",
     "aten::pow_", "aten::fill_", "aten::fill", "aten::copy"});

}  // namespace

DtypeRule dtype_rule(const Node& node) {
  if (is_one_of(kCasts, node.target)) return DtypeRule::kCast;
  if (is_one_of(kViews, node.target)) return DtypeRule::kView;
  if (is_one_of(kFirstDecides, node.target)) return DtypeRule::kFirstDecides;
  return is_one_of(kPromoting, node.target) ? DtypeRule::kPromotes : DtypeRule::kOneDtype;
}

const NamedArgument* dtype_argument(const Node& node) {
  for (const NamedArgument& argument : node.arguments) {
    const auto* constant = std::get_if<c10::IValue>(&argument.value.value);
    const bool is_dtype = argument.name == "dtype" || argument.name == "out_dtype";
    if (is_dtype && constant != nullptr && constant->isInt()) return &argument;
  }
  return nullptr;
}

at::ScalarType asked_dtype(const NamedArgument& argument) {
  return static_cast<at::ScalarType>(std::get<c10::IValue>(argument.value.value).toInt());
}

ValueId first_value(const Node& node) {
  ValueId first = kNoValue;
  for_each_read(node, [&](ValueId id) {
    if (first == kNoValue) first = id;
  });
  return first;
}

double greatest_of(at::ScalarType dtype) {
  switch (dtype) {
    case at::kHalf:
      return std::numeric_limits<c10::Half>::max();
    case at::kBFloat16:
      return std::numeric_limits<c10::BFloat16>::max();
    case at::kFloat:
      return std::numeric_limits<float>::max();
    default:
      return std::numeric_limits<double>::max();
  }
}

void keep_in_range(Node& node, at::ScalarType dtype) {
  const double most = greatest_of(dtype);
  for (NamedArgument& argument : node.arguments) {
    auto* constant = std::get_if<c10::IValue>(&argument.value.value);
    if (constant == nullptr || !constant->isDouble() || !std::isfinite(constant->toDouble())) {
      continue;
    }
    *constant = std::clamp(constant->toDouble(), -most, most);
  }
}

}  // namespace tenon
