#include "base/json.h"

#include <sstream>
#include <unordered_set>
#include <vector>

#include "base/foreign_content.h"

namespace tenon {
namespace {

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxExcerpt = 80;

[[noreturn]] void fail(Failure failure, const std::string& problem) {
  failure.message += " " + problem;
  throw Error(failure);
}

// Walks through the text before it is parsed: nesting and names are checked, nothing is kept. (The
// library's parser with a callback would do both at once, but looks through a whole table at the
// end of each value in it.)
template <typename AnyJson>
class Check : public nlohmann::json_sax<AnyJson> {
 public:
  explicit Check(const Failure& context) : context_(context) {}

  bool start_object(std::size_t /*size*/) override {
    tables_.emplace_back();
    return open();
  }
  bool end_object() override {
    tables_.pop_back();
    return close();
  }
  bool start_array(std::size_t /*size*/) override { return open(); }
  bool end_array() override { return close(); }
  bool key(std::string& key) override {
    if (!tables_.back().insert(key).second) fail(context_, "gives `" + key + "` twice");
    return true;
  }

  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(std::int64_t /*value*/) override { return true; }
  bool number_unsigned(std::uint64_t /*value*/) override { return true; }
  bool number_float(double /*value*/, const std::string& /*text*/) override { return true; }
  bool string(std::string& /*value*/) override { return true; }
  bool binary(typename AnyJson::binary_t& /*value*/) override { return true; }
  // Parsing tells it again.
  bool parse_error(std::size_t /*place*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return false;
  }

 private:
  bool open() {
    if (++depth_ > kMaxDepth) {
      fail(context_, "is nested deeper than " + std::to_string(kMaxDepth) + " levels");
    }
    return true;
  }
  bool close() {
    --depth_;
    return true;
  }

  const Failure& context_;
  int depth_ = 0;
  std::vector<std::unordered_set<std::string>> tables_;  // the keys of each open one
};

// "[json.exception.parse_error.101] parse error at line 1, ..." without the library's own tag. It
// quotes the file, which need not be UTF-8: a message must be.
std::string readable(const std::string& what) {
  const std::size_t end = what.find("] ");
  std::ostringstream text;
  text << std::hex;
  for (const char c : end == std::string::npos ? what : what.substr(end + 2)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text << c;
    } else {
      text << "\\x" << static_cast<int>(byte);
    }
  }
  return text.str();
}

template <typename AnyJson>
AnyJson parse(std::string_view text, const Failure& context) {
  Check<AnyJson> check(context);
  AnyJson::sax_parse(text.begin(), text.end(), &check);
  try {
    return AnyJson::parse(text.begin(), text.end());
  } catch (const typename AnyJson::exception& error) {
    if (const ForeignContent content = foreign_content(text); content.what != nullptr) {
      Failure foreign = context;
      foreign.hint = content.hint;
      fail(foreign, std::string("is ") + content.what);
    }
    fail(context, "is not valid JSON: " + readable(error.what()));
  }
}

// Cuts at a whole UTF-8 character, so that the text can be written as JSON again.
std::string shortened_excerpt(std::string text) {
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
  return shortened_excerpt(value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace));
}

}  // namespace tenon
