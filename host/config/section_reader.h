#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/adapter_config.h"
#include "config/config_value.h"
#include "config/toml_reader.h"
#include "config/train_config.h"

namespace tenon {

// A default as it would be written in the file; "" where leaving the key out means something else.
std::string default_text(bool value);
std::string default_text(std::int64_t value);
std::string default_text(std::uint64_t value);
std::string default_text(double value);
std::string default_text(const std::string& value);
std::string default_text(const std::array<double, 2>& values);
template <class T>
std::string default_text(const std::optional<T>&) {
  return "";
}
inline std::string default_text(const std::filesystem::path&) { return ""; }

// Reads the keys of one section into variables that hold their defaults. What it is asked for is at
// the same time the schema: any other key in the table is unknown, and keys() lists it.
class SectionReader {
 public:
  SectionReader(const ReadContext& context, std::string section, const toml::table& table);

  // The value of a key, if the file has it; for kinds that have no method of their own.
  std::optional<ConfigValue> take(std::string_view key, std::string type, std::string fallback,
                                  const Bounds& bounds = {},
                                  const std::vector<std::string>& choices = {});

  template <class Out>
  void string(std::string_view key, Out& out) {
    assign(out, take(key, "string", default_text(out)), &ConfigValue::as_string);
  }
  template <class Out>
  void path(std::string_view key, Out& out) {
    assign(out, take(key, "path", default_text(out)), &ConfigValue::as_path);
  }
  template <class Out>
  void number(std::string_view key, Out& out, const Bounds& bounds = {}) {
    assign(out, take(key, "number", default_text(out), bounds), &ConfigValue::as_number, bounds);
  }
  template <class Out>
  void integer(std::string_view key, Out& out, const Bounds& bounds) {
    assign(out, take(key, "integer", default_text(out), bounds), &ConfigValue::as_integer, bounds);
  }
  template <class Out>
  void boolean(std::string_view key, Out& out) {
    assign(out, take(key, "boolean", default_text(out)), &ConfigValue::as_boolean);
  }
  void seed(std::string_view key, std::uint64_t& out);
  template <class Out>
  void choice(std::string_view key, Out& out, const std::vector<std::string>& choices) {
    assign(out, take(key, "string", default_text(out), {}, choices), &ConfigValue::as_choice,
           choices);
  }
  void numbers(std::string_view key, std::vector<double>& out, const Bounds& bounds = {});
  void strings(std::string_view key, std::vector<std::string>& out);
  void paths(std::string_view key, std::vector<std::filesystem::path>& out);
  // A path or a list of them; one with *, ? or [ in it is every path that it matches, sorted.
  void files(std::string_view key, std::vector<std::filesystem::path>& out);
  // A number of steps, a share of all below 1, or "epoch".
  void step_interval(std::string_view key, std::optional<StepInterval>& out);
  // A string is one regular expression, a list is names (PEFT's distinction).
  void module_rule(std::string_view key, ModuleRule& out);
  void options(std::string_view key, OptionTable& out, std::map<std::string, Place>* places = {});
  // All keys that no method asked for, as plain values; none of them is unknown afterwards.
  void take_others(OptionTable& out, std::map<std::string, Place>& places);

  bool has(std::string_view key) const { return table_->contains(key); }
  std::set<std::string> explicit_keys() const;
  Place place_of(std::string_view key) const;
  std::string location() const { return place().text; }
  // The keys that no method asked for, as a plugin's or constructor's own.
  std::vector<ConfigValue> others() const;

  // Reports a problem at the section's head, or at the value of `key`.
  void fail(const std::string& text) const;
  void fail_at(std::string_view key, const std::string& text) const;
  void require(std::string_view key, const std::string& why) const;
  void refuse_others() const;

  const ReadContext& context() const { return *context_; }
  const std::vector<ConfigKey>& keys() const { return keys_; }

 private:
  template <class Out, class Read, class... Arguments>
  static void assign(Out& out, const std::optional<ConfigValue>& value, Read read,
                     const Arguments&... arguments) {
    if (!value) return;
    if (auto result = ((*value).*read)(arguments...)) out = *std::move(result);
  }
  Place place() const;

  const ReadContext* context_;
  std::string section_;
  const toml::table* table_;
  std::vector<ConfigKey> keys_;
};

}  // namespace tenon
