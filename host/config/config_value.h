#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/adapter_config.h"
#include "config/bounds.h"
#include "config/toml_document.h"

namespace tenon {

// What reading a config needs everywhere; outlives the values and sections that refer to it.
struct ReadContext {
  const TomlDocument& document;
  Problems& problems;
};

// One value of the document under its full name ("adapter.r"). Each as_...() gives the value if it
// is of that kind, else reports what is wrong and gives nothing.
class ConfigValue {
 public:
  ConfigValue(const ReadContext& context, const toml::node& node, std::string key,
              std::string name);

  const std::string& key() const { return key_; }
  const std::string& name() const { return name_; }
  Place place() const;
  bool is_string() const { return node_->is_string(); }
  bool is_list() const { return node_->is_array(); }
  bool is_boolean() const { return node_->is_boolean(); }

  std::optional<bool> as_boolean() const;
  std::optional<std::int64_t> as_integer(const Bounds& bounds) const;
  std::optional<double> as_number(const Bounds& bounds) const;
  std::optional<std::string> as_string() const;  // never empty
  std::optional<std::string> as_choice(const std::vector<std::string>& choices) const;
  std::optional<std::filesystem::path> as_path() const;
  std::optional<std::vector<std::string>> as_strings() const;
  std::optional<std::vector<std::filesystem::path>> as_paths() const;
  std::optional<OptionValue> as_option() const;
  // An option, or a table of them; where it and each entry stands goes to `places`.
  std::optional<OptionValue> as_key(std::map<std::string, Place>* places = nullptr) const;

  std::vector<ConfigValue> items() const;  // of a list
  // Of a table: its values in the order of the file, those of --set after them. `expected` is what
  // each is to be; a table is reported as a name whose dots were not quoted.
  std::vector<ConfigValue> entries(const std::string& expected) const;
  const toml::table* table() const { return node_->as_table(); }

  // "`adapter.r` must be EXPECTED, not a string".
  void fail_type(const std::string& expected) const;
  // "`adapter.r` TEXT".
  void fail(const std::string& text) const;

 private:
  const ReadContext* context_;
  const toml::node* node_;
  std::string key_;
  std::string name_;
};

}  // namespace tenon
