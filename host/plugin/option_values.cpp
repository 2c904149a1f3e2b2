#include "plugin/option_values.h"

namespace tenon {
namespace {

template <typename T>
std::uint32_t count(const T& list) {
  return static_cast<std::uint32_t>(list.size());
}

// One overload for each alternative of OptionValue.
struct ValueWriter {
  OptionViews& views;

  tenon_value operator()(bool truth) const { return {TENON_VALUE_BOOL, 0, {.i = truth ? 1 : 0}}; }
  tenon_value operator()(std::int64_t integer) const {
    return {TENON_VALUE_INT, 0, {.i = integer}};
  }
  tenon_value operator()(double real) const { return {TENON_VALUE_DOUBLE, 0, {.d = real}}; }
  tenon_value operator()(const std::string& text) const {
    return {TENON_VALUE_STRING, count(text), {.s = text.c_str()}};
  }
  tenon_value operator()(const std::vector<std::int64_t>& list) const {
    return {TENON_VALUE_INT_LIST, count(list), {.is = list.data()}};
  }
  tenon_value operator()(const std::vector<double>& list) const {
    return {TENON_VALUE_DOUBLE_LIST, count(list), {.ds = list.data()}};
  }
  tenon_value operator()(const std::vector<std::string>& list) const {
    std::vector<const char*>& view = views.strings.emplace_back();
    view.reserve(list.size());
    for (const std::string& text : list) view.push_back(text.c_str());
    return {TENON_VALUE_STRING_LIST, count(view), {.ss = view.data()}};
  }
  tenon_value operator()(const TruthList& list) const {
    return {TENON_VALUE_BOOL_LIST, count(list.items), {.bs = list.items.data()}};
  }
  tenon_value operator()(const OptionEntries& table) const {
    std::vector<tenon_entry> entries;
    entries.reserve(table.items.size());
    for (const OptionEntry& entry : table.items) {
      entries.push_back({entry.key.c_str(), to_value(entry.value, views)});
    }
    const std::vector<tenon_entry>& view = views.tables.emplace_back(std::move(entries));
    return {TENON_VALUE_TABLE, count(view), {.es = view.data()}};
  }
  tenon_value operator()(std::monostate) const { return {TENON_VALUE_NONE, 0, {.i = 0}}; }
};

}  // namespace

tenon_value to_value(const OptionValue& option, OptionViews& views) {
  return std::visit(ValueWriter{views}, option);
}

OptionValue to_option(const tenon_value& value) {
  switch (value.tag) {
    case TENON_VALUE_BOOL:
      return value.u.i != 0;
    case TENON_VALUE_INT:
      return value.u.i;
    case TENON_VALUE_DOUBLE:
      return value.u.d;
    case TENON_VALUE_STRING:
      return std::string(value.u.s, value.n);
    case TENON_VALUE_INT_LIST:
      return std::vector(value.u.is, value.u.is + value.n);
    case TENON_VALUE_DOUBLE_LIST:
      return std::vector(value.u.ds, value.u.ds + value.n);
    case TENON_VALUE_BOOL_LIST:
      return TruthList{{value.u.bs, value.u.bs + value.n}};
    case TENON_VALUE_STRING_LIST:
      return std::vector<std::string>(value.u.ss, value.u.ss + value.n);
    case TENON_VALUE_TABLE: {
      OptionEntries table;
      for (std::uint32_t i = 0; i < value.n; ++i) {
        table.items.push_back({value.u.es[i].key, to_option(value.u.es[i].value)});
      }
      return table;
    }
    default:
      return std::monostate();
  }
}

}  // namespace tenon
