#include "config/lora_keys.h"

#include <utility>

#include "base/suggest.h"
#include "config/lora_init.h"
#include "config/start_keys.h"

namespace tenon {
namespace {

constexpr const char* kNoAlpha = "must not be 0, with which the adapter would do nothing";

void read_init(SectionReader& section, std::string& init) {
  const auto value = section.take("init_lora_weights", "boolean or string", "true");
  if (!value) return;
  if (value->is_boolean()) {
    init = *value->as_boolean() ? "default" : "random";
  } else if (!value->is_string()) {
    value->fail_type("true, false or the name of a start");
  } else if (const auto text = value->as_string()) {
    if (const auto known = known_lora_init(*text)) {
      init = *known;
      return;
    }
    if (const auto foreign = foreign_lora_init(*text)) {
      value->fail("cannot be `" + *text + "`: Tenon has no " + std::string(foreign->name) + " (" +
                  std::string(foreign->reason) +
                  "); start the adapter with PEFT and go on from its folder (init_from)");
      return;
    }
    const std::string suggestion = did_you_mean(*text, lora_init_names());
    value->fail("must be true, false or one of " + join(lora_init_names()) + ", not `" + *text +
                "`" + (suggestion.empty() ? "" : "; " + suggestion));
  }
}

void read_patterns(SectionReader& section, AdapterConfig& adapter) {
  if (const auto ranks = section.take("rank_pattern", "table", "")) {
    for (const ConfigValue& entry : ranks->entries("an integer")) {
      const auto rank = entry.as_integer(at_least(1));
      if (rank) adapter.rank_pattern.emplace_back(entry.key(), *rank);
    }
  }
  if (const auto alphas = section.take("alpha_pattern", "table", "")) {
    for (const ConfigValue& entry : alphas->entries("a number")) {
      const auto alpha = entry.as_number({});
      if (alpha) adapter.alpha_pattern.emplace_back(entry.key(), *alpha);
      if (alpha == 0.0) entry.fail(kNoAlpha);
    }
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

// What PEFT's LoraConfig refuses (lora/config.py, __post_init__).
void check_lora_bias(const SectionReader& section, const AdapterConfig& adapter) {
  if (!adapter.lora_bias) return;
  if (adapter.init_lora_weights != "default" && adapter.init_lora_weights != "random") {
    section.fail_at("lora_bias",
                    "cannot be true unless `adapter.init_lora_weights` is true or false");
  }
  if (adapter.use_dora) {
    section.fail_at("lora_bias", "cannot be true together with `adapter.use_dora`");
  }
}

}  // namespace

void read_lora_keys(SectionReader& section, AdapterConfig& adapter) {
  section.integer("r", adapter.r, at_least(1));
  section.number("lora_alpha", adapter.lora_alpha);
  if (adapter.lora_alpha == 0) section.fail_at("lora_alpha", kNoAlpha);
  section.number("lora_dropout", adapter.lora_dropout, half_open(0, 1));
  section.boolean("use_rslora", adapter.use_rslora);
  section.boolean("use_dora", adapter.use_dora);
  section.boolean("lora_bias", adapter.lora_bias);
  section.choice("bias", adapter.bias, {"none", "all", "lora_only"});
  read_token_rows(section, adapter.trainable_tokens);
  section.boolean("ensure_weight_tying", adapter.ensure_weight_tying);
  section.boolean("autocast_adapter_dtype", adapter.autocast_adapter_dtype);
  read_init(section, adapter.init_lora_weights);
  read_start_keys(section, adapter);
  read_patterns(section, adapter);
  check_lora_bias(section, adapter);
}

}  // namespace tenon
