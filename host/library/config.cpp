#include <tenon/config.h>
#include <tenon/error.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace tenon {
namespace {

// A basic string of TOML.
std::string quoted(const std::string& text) {
  static constexpr std::array<char, 17> kHex = {"0123456789ABCDEF"};
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string number_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  std::array<char, 40> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  std::string text(digits.data(), end);
  // What has neither would be a whole number.
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

template <class List>
std::string list_text(const List& list) {
  std::string text = "[";
  for (const KeyValue& value : list) text += (text.size() > 1 ? ", " : "") + value.toml();
  return text + "]";
}

std::string table_text(const Table& table) {
  std::string text = "{";
  for (const Key& key : table.keys()) {
    text += (text.size() > 1 ? ", " : " ") + quoted(key.name) + " = " + key.value.toml();
  }
  return text + " }";
}

}  // namespace

KeyValue::KeyValue(double number) : toml_(number_text(number)) {}
KeyValue::KeyValue(const std::string& text) : toml_(quoted(text)) {}
KeyValue::KeyValue(std::initializer_list<KeyValue> list) : toml_(list_text(list)) {}
KeyValue::KeyValue(const std::vector<KeyValue>& list) : toml_(list_text(list)) {}
KeyValue::KeyValue(const Table& table) : toml_(table_text(table)) {}

Config::Config(std::initializer_list<Key> keys) : form_(Form::kKeys), keys_(keys) {}
Config::Config(const std::vector<Key>& keys) : form_(Form::kKeys), keys_(keys) {}

Config Config::from_text(std::string toml) {
  Config config;
  config.form_ = Form::kText;
  config.text_ = std::move(toml);
  return config;
}

Config& Config::set(const std::string& name, const KeyValue& value) {
  if (form_ != Form::kKeys) {
    throw Error({.stage = Stage::kConfig,
                 .message = "Config::set(\"" + name + "\") on a config that is not made of keys",
                 .hint = "write the key into the file or the text"});
  }
  const auto same =
      std::find_if(keys_.begin(), keys_.end(), [&](const Key& key) { return key.name == name; });
  if (same == keys_.end()) {
    keys_.emplace_back(name, value);
  } else {
    same->value = value;
  }
  return *this;
}

std::string Config::text() const {
  if (form_ != Form::kKeys) return text_;
  std::string text;
  for (const Key& key : keys_) text += quoted(key.name) + " = " + key.value.toml() + "\n";
  return text;
}

}  // namespace tenon
