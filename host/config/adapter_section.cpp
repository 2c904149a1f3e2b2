#include <utility>

#include "config/adapter_name.h"
#include "config/sections.h"

namespace tenon {
namespace {

void read_layers_to_transform(SectionReader& section, std::vector<std::int64_t>& layers) {
  const auto value =
      section.take("layers_to_transform", "integer or list of integers", "", at_least(0));
  if (!value) return;
  const std::vector<ConfigValue> items =
      value->is_list() ? value->items() : std::vector<ConfigValue>{*value};
  for (const ConfigValue& item : items) {
    if (const auto layer = item.as_integer(at_least(0))) layers.push_back(*layer);
  }
}

void read_layers_pattern(SectionReader& section, std::vector<std::string>& patterns) {
  const auto value = section.take("layers_pattern", "string or list of strings", "");
  if (!value) return;
  if (value->is_list()) {
    patterns = value->as_strings().value_or(std::vector<std::string>());
  } else if (const auto pattern = value->as_string()) {
    patterns = {*pattern};
  }
}

// A list is for the model's input embedding, a table names embeddings.
void read_token_rows(SectionReader& section, std::vector<TokenRows>& rules) {
  const auto value = section.take("trainable_token_indices", "list of integers or table", "");
  if (!value) return;
  const auto read = [&](const std::string& module, const ConfigValue& rows) {
    TokenRows rule{module, {}};
    for (const ConfigValue& row : rows.items()) {
      if (const auto token = row.as_integer(at_least(0))) rule.tokens.push_back(*token);
    }
    if (rows.items().empty()) rows.fail("names no token");
    rules.push_back(std::move(rule));
  };
  if (value->is_list()) return read("", *value);
  for (const ConfigValue& entry : value->entries("a list of integers")) {
    if (entry.is_list()) {
      read(entry.key(), entry);
    } else {
      entry.fail_type("a list of integers");
    }
  }
}

// Of the host's keys that not every method goes with.
void note_places(const SectionReader& section, AdapterConfig& adapter) {
  for (const char* key : {"bias", "ensure_weight_tying", "trainable_token_indices"}) {
    if (section.has(key)) adapter.key_places.emplace(key, section.place_of(key));
  }
}

// What PEFT refuses (__post_init__ of its configs).
void check_layer_filter(const SectionReader& section, const AdapterConfig& adapter) {
  if (std::holds_alternative<Regex>(adapter.target_modules)) {
    for (const char* key : {"layers_to_transform", "layers_pattern"}) {
      if (section.has(key)) {
        section.fail_at(key,
                        "cannot be used when `adapter.target_modules` is a string, that is a "
                        "regular expression; give a list of names");
      }
    }
  } else if (section.has("layers_pattern") && !section.has("layers_to_transform")) {
    section.fail_at("layers_pattern",
                    "needs `adapter.layers_to_transform`, the numbers of the "
                    "layers");
  }
}

void check_targets(const SectionReader& section, const AdapterConfig& adapter) {
  const auto* names = std::get_if<std::vector<std::string>>(&adapter.target_modules);
  if (names != nullptr && names->empty() && adapter.target_parameters.empty()) {
    section.fail_at("target_modules", "names no layer");
  }
}

}  // namespace

void read_adapter_section(SectionReader& section, RunConfig& config) {
  AdapterConfig adapter;
  adapter.location = section.location();
  adapter.explicit_keys = section.explicit_keys();
  section.string("method", adapter.method);
  section.string("name", adapter.name);
  section.module_rule("target_modules", adapter.target_modules);
  section.module_rule("exclude_modules", adapter.exclude_modules);
  section.strings("target_parameters", adapter.target_parameters);
  section.strings("modules_to_save", adapter.modules_to_save);
  read_layers_to_transform(section, adapter.layers_to_transform);
  read_layers_pattern(section, adapter.layers_pattern);
  section.path("init_from", adapter.init_from);
  section.boolean("active", adapter.active);
  adapter.trainable = adapter.active;
  section.boolean("trainable", adapter.trainable);
  section.options("options", adapter.options, &adapter.option_places);
  section.boolean("skip_unsupported", adapter.skip_unsupported);
  section.boolean("allow_unmatched", adapter.allow_unmatched);
  section.boolean("autocast_adapter_dtype", adapter.autocast_adapter_dtype);
  section.string("bias", adapter.bias);
  section.boolean("ensure_weight_tying", adapter.ensure_weight_tying);
  read_token_rows(section, adapter.trainable_tokens);
  // A method declares the others; they are checked once it is known.
  section.take_others(adapter.method_keys, adapter.key_places);
  note_places(section, adapter);

  if (adapter.trainable && !adapter.active) {
    section.fail_at("trainable",
                    "cannot be true where `adapter.active` is false: no gradient "
                    "reaches an adapter that does not run");
  }
  check_targets(section, adapter);
  check_layer_filter(section, adapter);
  const std::string bad_name = adapter_name_problem(adapter.name);
  if (!bad_name.empty()) section.fail_at("name", bad_name);
  config.adapters.push_back(std::move(adapter));
}

}  // namespace tenon
