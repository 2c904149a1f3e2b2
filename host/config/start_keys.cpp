#include "config/start_keys.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/suggest.h"

namespace tenon {
namespace {

struct Key {
  std::string name;
  std::function<void(const ConfigValue&)> read;
};

template <class T>
void assign(T& out, const std::optional<T>& value) {
  if (value) out = *value;
}

// `init`: the start that the table belongs to.
void read_table(SectionReader& section, const AdapterConfig& adapter, const std::string& init,
                const std::vector<Key>& keys) {
  const std::string name = init + "_config";
  const auto table = section.take(name, "table", "");
  if (!table) return;
  if (adapter.init_lora_weights != init) {
    table->fail("has a meaning only where `adapter.init_lora_weights` is \"" + init + "\"");
  }
  std::vector<std::string> names;
  names.reserve(keys.size());
  for (const Key& key : keys) names.push_back(key.name);
  for (const ConfigValue& entry : table->entries("a value")) {
    const auto key = std::find(names.begin(), names.end(), entry.key());
    if (key != names.end()) {
      keys[static_cast<std::size_t>(key - names.begin())].read(entry);
      continue;
    }
    const std::string suggestion = did_you_mean(entry.key(), names);
    entry.fail("is unknown; " + (suggestion.empty() ? "known: " + join(names) : suggestion));
  }
}

}  // namespace

void read_start_keys(SectionReader& section, AdapterConfig& adapter) {
  EvaConfig& eva = adapter.eva_config;
  read_table(
      section, adapter, "eva",
      {{"rho", [&](const ConfigValue& value) { assign(eva.rho, value.as_number(at_least(1))); }},
       {"tau", [&](const ConfigValue& value) { assign(eva.tau, value.as_number(closed(0, 1))); }},
       {"use_label_mask",
        [&](const ConfigValue& value) { assign(eva.use_label_mask, value.as_boolean()); }},
       {"label_mask_value",
        [&](const ConfigValue& value) { assign(eva.label_mask_value, value.as_integer({})); }},
       {"whiten", [&](const ConfigValue& value) { assign(eva.whiten, value.as_boolean()); }},
       {"adjust_scaling_factors", [&](const ConfigValue& value) {
          assign(eva.adjust_scaling_factors, value.as_boolean());
        }}});
  std::string& method = adapter.corda_config.corda_method;
  read_table(section, adapter, "corda", {{"corda_method", [&](const ConfigValue& value) {
                                            assign(method, value.as_choice({"ipm", "kpm"}));
                                          }}});
}

}  // namespace tenon
