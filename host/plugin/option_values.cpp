#include "plugin/option_values.h"

namespace tenon {
namespace {

template <typename T>
std::uint32_t count(const T& list) {
  return static_cast<std::uint32_t>(list.size());
}

// One overload for each alternative of OptionValue.
struct ValueWriter {
  StringViews& views;

  tenon_value operator()(bool truth) const { return {TENON_TRUTH, 0, {.i = truth ? 1 : 0}}; }
  tenon_value operator()(std::int64_t integer) const { return {TENON_INT, 0, {.i = integer}}; }
  tenon_value operator()(double real) const { return {TENON_DOUBLE, 0, {.d = real}}; }
  tenon_value operator()(const std::string& text) const {
    return {TENON_STRING, count(text), {.s = text.data()}};
  }
  tenon_value operator()(const std::vector<std::int64_t>& list) const {
    return {TENON_INT_LIST, count(list), {.is = list.data()}};
  }
  tenon_value operator()(const std::vector<double>& list) const {
    return {TENON_DOUBLE_LIST, count(list), {.ds = list.data()}};
  }
  tenon_value operator()(const std::vector<std::string>& list) const {
    std::vector<tenon_str>& view = views.emplace_back();
    for (const std::string& text : list) view.push_back({text.data(), text.size()});
    return {TENON_STRING_LIST, count(view), {.ss = view.data()}};
  }
  tenon_value operator()(const TruthList& list) const {
    return {TENON_TRUTH_LIST, count(list.items), {.bs = list.items.data()}};
  }
  tenon_value operator()(std::monostate) const { return {TENON_NONE, 0, {.i = 0}}; }
};

}  // namespace

tenon_value to_value(const OptionValue& option, StringViews& views) {
  return std::visit(ValueWriter{views}, option);
}

OptionValue to_option(const tenon_value& value) {
  switch (value.tag) {
    case TENON_TRUTH:
      return value.u.i != 0;
    case TENON_INT:
      return value.u.i;
    case TENON_DOUBLE:
      return value.u.d;
    case TENON_STRING:
      return std::string(value.u.s, value.n);
    case TENON_INT_LIST:
      return std::vector(value.u.is, value.u.is + value.n);
    case TENON_DOUBLE_LIST:
      return std::vector(value.u.ds, value.u.ds + value.n);
    case TENON_TRUTH_LIST:
      return TruthList{{value.u.bs, value.u.bs + value.n}};
    case TENON_STRING_LIST: {
      std::vector<std::string> texts;
      for (std::uint32_t i = 0; i < value.n; ++i) {
        texts.emplace_back(value.u.ss[i].p, value.u.ss[i].n);
      }
      return texts;
    }
    default:
      return std::monostate();
  }
}

}  // namespace tenon
