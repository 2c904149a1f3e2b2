#include "config/section_reader.h"

#include <glob.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>

#include "base/suggest.h"

namespace tenon {

std::string default_text(bool value) { return value ? "true" : "false"; }
std::string default_text(std::int64_t value) { return std::to_string(value); }
std::string default_text(std::uint64_t value) { return std::to_string(value); }
std::string default_text(double value) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
}
std::string default_text(const std::string& value) {
  return value.empty() ? "" : '"' + value + '"';
}
std::string default_text(const std::array<double, 2>& values) {
  return '[' + default_text(values[0]) + ", " + default_text(values[1]) + ']';
}

namespace {

// A file may have such a name itself.
std::vector<std::filesystem::path> matching_paths(const std::filesystem::path& pattern) {
  std::error_code ignored;
  if (std::filesystem::exists(pattern, ignored)) return {pattern};
  std::vector<std::filesystem::path> paths;
  glob_t found{};
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  ::globfree(&found);
  return paths;
}

}  // namespace

SectionReader::SectionReader(const ReadContext& context, std::string section,
                             const toml::table& table)
    : context_(&context), section_(std::move(section)), table_(&table) {}

std::optional<ConfigValue> SectionReader::take(std::string_view key, std::string type,
                                               std::string fallback, const Bounds& bounds,
                                               const std::vector<std::string>& choices) {
  const std::string name = section_ + "." + std::string(key);
  keys_.push_back({name, std::move(type), std::move(fallback), choices, bounds});
  const toml::node* node = table_->get(key);
  if (node == nullptr) return std::nullopt;
  return ConfigValue(*context_, *node, std::string(key), name);
}

void SectionReader::seed(std::string_view key, std::uint64_t& out) {
  const auto value = take(key, "integer", default_text(out), at_least(0));
  if (!value) return;
  if (const auto seed = value->as_integer(at_least(0))) out = static_cast<std::uint64_t>(*seed);
}

void SectionReader::numbers(std::string_view key, std::vector<double>& out, const Bounds& bounds) {
  const auto value = take(key, "list of numbers", "", bounds);
  if (!value) return;
  if (!value->is_list()) return value->fail_type("a list of numbers");
  for (const ConfigValue& item : value->items()) {
    if (const auto number = item.as_number(bounds)) out.push_back(*number);
  }
}

void SectionReader::strings(std::string_view key, std::vector<std::string>& out) {
  assign(out, take(key, "list of strings", ""), &ConfigValue::as_strings);
}

void SectionReader::paths(std::string_view key, std::vector<std::filesystem::path>& out) {
  assign(out, take(key, "list of paths", ""), &ConfigValue::as_paths);
}

void SectionReader::files(std::string_view key, std::vector<std::filesystem::path>& out) {
  const auto value = take(key, "path or list of paths", "");
  if (!value) return;
  const std::vector<ConfigValue> entries =
      value->is_list() ? value->items() : std::vector<ConfigValue>{*value};
  if (entries.empty()) value->fail("names no file");
  for (const ConfigValue& entry : entries) {
    const auto path = entry.as_path();
    if (!path) continue;
    if (path->string().find_first_of("*?[") == std::string::npos) {
      out.push_back(*path);
      continue;
    }
    const std::vector<std::filesystem::path> found = matching_paths(*path);
    if (found.empty()) entry.fail("matches no file: " + path->string());
    out.insert(out.end(), found.begin(), found.end());
  }
}

void SectionReader::step_interval(std::string_view key, std::optional<StepInterval>& out) {
  const auto value = take(key, "number or string", "", above(0), {"epoch"});
  if (!value) return;
  if (value->is_string()) {
    if (value->as_choice({"epoch"})) out = StepInterval{.per_epoch = true};
  } else if (const auto steps = value->as_number(above(0))) {
    out = StepInterval{.steps = *steps};
    if (*steps > 1 && *steps != std::floor(*steps)) {
      value->fail("must be a whole number of steps, or a share of them below 1");
    }
  }
}

void SectionReader::module_rule(std::string_view key, ModuleRule& out) {
  const auto value = take(key, "string or list of strings", "");
  if (!value) return;
  if (value->is_string()) {
    if (const auto pattern = value->as_string()) out = Regex{*pattern};
  } else if (value->is_list()) {
    if (auto names = value->as_strings()) out = *std::move(names);
  } else {
    value->fail_type("a regular expression or a list of names");
  }
}

void SectionReader::options(std::string_view key, OptionTable& out,
                            std::map<std::string, Place>* places) {
  const auto value = take(key, "table", "");
  if (!value) return;
  for (const ConfigValue& entry : value->entries("a plain value")) {
    if (auto option = entry.as_option()) out[entry.key()] = *std::move(option);
    if (places != nullptr) places->emplace(entry.key(), entry.place());
  }
}

void SectionReader::take_others(OptionTable& out, std::map<std::string, Place>& places) {
  for (const ConfigValue& value : others()) {
    take(value.key(), "plain value", "");
    if (auto option = value.as_key(&places)) out[value.key()] = *std::move(option);
  }
}

std::set<std::string> SectionReader::explicit_keys() const {
  std::set<std::string> names;
  for (const auto& [key, node] : *table_) names.emplace(key.str());
  return names;
}

std::vector<ConfigValue> SectionReader::others() const {
  std::vector<ConfigValue> values;
  for (const auto& [key, node] : *table_) {
    const std::string name = section_ + "." + std::string(key.str());
    const bool is_known = std::any_of(keys_.begin(), keys_.end(),
                                      [&](const ConfigKey& known) { return known.name == name; });
    if (!is_known) values.emplace_back(*context_, node, std::string(key.str()), name);
  }
  return values;
}

Place SectionReader::place() const { return context_->document.place(table_->source()); }

void SectionReader::fail(const std::string& text) const { context_->problems.add(place(), text); }

Place SectionReader::place_of(std::string_view key) const {
  const toml::node* node = table_->get(key);
  return node == nullptr ? place() : context_->document.place(node->source());
}

void SectionReader::fail_at(std::string_view key, const std::string& text) const {
  context_->problems.add(place_of(key), '`' + section_ + "." + std::string(key) + "` " + text);
}

void SectionReader::require(std::string_view key, const std::string& why) const {
  if (!has(key)) fail_at(key, "is missing: " + why);
}

void SectionReader::refuse_others() const {
  std::vector<std::string> known;
  for (const ConfigKey& key : keys_) known.push_back(key.name.substr(section_.size() + 1));
  for (const auto& [key, node] : *table_) {
    const std::string name(key.str());
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string suggestion = did_you_mean(name, known);
    context_->problems.add(context_->document.place(key.source()),
                           "unknown key `" + name + "` in [" + section_ + "]; " +
                               (suggestion.empty() ? "known here: " + join(known) : suggestion));
  }
}

}  // namespace tenon
