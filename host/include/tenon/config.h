// What to adapt and how, or how to train. Included by <tenon/adapt.h>.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace tenon {

class Table;

// The value of a key: what TOML has, written as C++ has it.
class KeyValue {
 public:
  KeyValue(bool truth) : toml_(truth ? "true" : "false") {}  // NOLINT
  template <class Number, std::enable_if_t<std::is_integral_v<Number>, int> = 0>
  KeyValue(Number number) : toml_(std::to_string(number)) {}                // NOLINT
  KeyValue(double number);                                                  // NOLINT
  KeyValue(const char* text) : KeyValue(std::string(text)) {}               // NOLINT
  KeyValue(const std::string& text);                                        // NOLINT
  KeyValue(const std::filesystem::path& path) : KeyValue(path.string()) {}  // NOLINT
  KeyValue(std::initializer_list<KeyValue> list);                           // NOLINT
  template <class T>
  KeyValue(const std::vector<T>& list)
      : KeyValue(std::vector<KeyValue>(list.begin(), list.end())) {}  // NOLINT
  KeyValue(const std::vector<KeyValue>& list);                        // NOLINT
  KeyValue(const Table& table);                                       // NOLINT

  const std::string& toml() const { return toml_; }

 private:
  std::string toml_;
};

struct Key {
  Key(std::string key, KeyValue its_value) : name(std::move(key)), value(std::move(its_value)) {}

  std::string name;
  KeyValue value;
};

// A table inside a value: {"rank_pattern", tenon::Table{{"first", 4}, {"second", 8}}}.
class Table {
 public:
  Table() = default;
  Table(std::initializer_list<Key> keys) : keys_(keys) {}
  const std::vector<Key>& keys() const { return keys_; }

 private:
  std::vector<Key> keys_;
};

// A config, from a TOML file, from TOML text, or from keys; configs/README.md describes them, and
// all three are checked alike when the config is used. Throws nothing itself.
//
//   tenon::Config{{"target_modules", {"0", "2"}}, {"r", 8}, {"lora_alpha", 16}}
//
// Where a function adapts, keys are those of [adapter], and a file or text may have [plugins] too;
// where it trains, they are those of [train].
class Config {
 public:
  enum class Form { kFile, kText, kKeys };

  Config() : form_(Form::kKeys) {}
  Config(std::initializer_list<Key> keys);
  explicit Config(const std::vector<Key>& keys);
  Config(const std::filesystem::path& file) : form_(Form::kFile), text_(file.string()) {}  // NOLINT
  Config(const char* file) : form_(Form::kFile), text_(file) {}                            // NOLINT
  Config(std::string file) : form_(Form::kFile), text_(std::move(file)) {}                 // NOLINT

  // TOML with sections, as a file has it; paths in it are relative to the working directory.
  static Config from_text(std::string toml);

  // With one key more, or another value of one that is there. Only for keys.
  Config& set(const std::string& name, const KeyValue& value);

  Form form() const { return form_; }
  // The file's path, the text, or the keys as lines of TOML.
  std::string text() const;

 private:
  Form form_;
  std::string text_;
  std::vector<Key> keys_;
};

}  // namespace tenon
