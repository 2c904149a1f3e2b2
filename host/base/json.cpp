#include "base/json.h"

#include <functional>
#include <set>
#include <vector>

namespace tenon {
namespace {

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxExcerpt = 80;

[[noreturn]] void fail(Failure failure, const std::string& problem) {
  failure.message += " " + problem;
  throw Error(failure);
}

// What the parser reports as it goes; the keys of each open table are remembered.
template <typename AnyJson>
class StrictEvents {
 public:
  explicit StrictEvents(const Failure& context) : context_(context) {}

  bool operator()(int depth, typename AnyJson::parse_event_t event, AnyJson& value) {
    if (depth > kMaxDepth) {
      fail(context_, "is nested deeper than " + std::to_string(kMaxDepth) + " levels");
    }
    if (event == AnyJson::parse_event_t::object_start) open_tables_.emplace_back();
    if (event == AnyJson::parse_event_t::object_end) open_tables_.pop_back();
    if (event == AnyJson::parse_event_t::key) note_key(value.template get<std::string>());
    return true;
  }

 private:
  void note_key(const std::string& key) {
    if (!open_tables_.back().insert(key).second) fail(context_, "gives `" + key + "` twice");
  }

  const Failure& context_;
  std::vector<std::set<std::string>> open_tables_;
};

// "[json.exception.parse_error.101] parse error at line 1, ..." without the library's own tag.
std::string without_tag(const std::string& what) {
  const std::size_t end = what.find("] ");
  return end == std::string::npos ? what : what.substr(end + 2);
}

template <typename AnyJson>
AnyJson parse(std::string_view text, const Failure& context) {
  StrictEvents<AnyJson> events(context);
  try {
    return AnyJson::parse(text.begin(), text.end(), std::ref(events));
  } catch (const typename AnyJson::exception& error) {
    fail(context, "is not valid JSON: " + without_tag(error.what()));
  }
}

// Cuts at a whole UTF-8 character, so that the text can be written as JSON again.
std::string shortened(std::string text) {
  if (text.size() <= kMaxExcerpt) return text;
  std::size_t end = kMaxExcerpt;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end) + "...";
}

}  // namespace

Json parse_json(std::string_view text, const Failure& context) {
  return parse<Json>(text, context);
}

OrderedJson parse_ordered_json(std::string_view text, const Failure& context) {
  return parse<OrderedJson>(text, context);
}

std::string json_kind(const OrderedJson& value) {
  switch (value.type()) {
    case OrderedJson::value_t::null:
      return "null";
    case OrderedJson::value_t::boolean:
      return "true or false";
    case OrderedJson::value_t::string:
      return "a string";
    case OrderedJson::value_t::array:
      return "a list";
    case OrderedJson::value_t::object:
      return "a table";
    default:
      return "a number";
  }
}

std::string json_excerpt(const OrderedJson& value) {
  return shortened(value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace));
}

}  // namespace tenon
