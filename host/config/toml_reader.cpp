#include "config/toml_reader.h"

#include <algorithm>
#include <map>
#include <span>
#include <sstream>

#include "base/suggest.h"
#include "config/loss_keys.h"
#include "config/overrides.h"
#include "config/sections.h"

namespace tenon {
namespace {

struct Section {
  const char* name;
  void (*read)(SectionReader&, RunConfig&);
  bool (*is_wanted)(const ConfigScope&);
  bool may_repeat;  // [[adapter]]
};

bool always(const ConfigScope&) { return true; }
bool for_model(const ConfigScope& scope) { return scope.model; }
bool for_adapter(const ConfigScope& scope) { return scope.adapter || scope.training; }
bool for_data(const ConfigScope& scope) { return scope.data || scope.evaluation || scope.training; }
bool for_evaluation(const ConfigScope& scope) {
  return scope.evaluation || scope.training || scope.settings;
}
bool for_training(const ConfigScope& scope) { return scope.training; }

constexpr Section kSections[] = {{"model", read_model_section, for_model, false},
                                 {"plugins", read_plugins_section, always, false},
                                 {"adapter", read_adapter_section, for_adapter, true},
                                 {"data", read_data_section, for_data, false},
                                 {"train", read_train_section, for_evaluation, false},
                                 {"output", read_output_section, for_training, false}};

std::vector<std::string> section_names() {
  std::vector<std::string> names;
  for (const Section& section : kSections) names.emplace_back(section.name);
  return names;
}

void refuse_unknown_sections(const ReadContext& context) {
  const std::vector<std::string> known = section_names();
  for (const auto& [key, node] : context.document.root()) {
    const std::string name(key.str());
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string suggestion = did_you_mean(name, known);
    const std::string what = node.is_table() || node.is_array_of_tables()
                                 ? "unknown section [" + name + "]"
                                 : '`' + name + "` stands outside the sections";
    context.problems.add(
        context.document.place(key.source()),
        what + "; " + (suggestion.empty() ? "the sections are " + join(known) : suggestion));
  }
}

// The tables of a section: one, or several where [[name]] is allowed.
std::vector<const toml::table*> tables_of(const Section& section, const toml::node& node,
                                          const ReadContext& context) {
  if (const toml::table* table = node.as_table()) return {table};
  if (section.may_repeat && node.is_array_of_tables()) {
    std::vector<const toml::table*> tables;
    for (const toml::node& item : *node.as_array()) tables.push_back(item.as_table());
    return tables;
  }
  context.problems.add(
      context.document.place(node.source()),
      '`' + std::string(section.name) + "` must be a section: [" + section.name + "]");
  return {};
}

// Adapters of one model are told apart by their names.
void check_adapter_names(const std::vector<const toml::table*>& tables, const RunConfig& config,
                         const ReadContext& context) {
  for (std::size_t i = 0; i < config.adapters.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      const std::string& name = config.adapters[i].name;
      if (name != config.adapters[k].name) continue;
      context.problems.add(context.document.place(tables[i]->source()),
                           "a second adapter is named `" + name + "`: give each its own `name`");
    }
  }
}

void read_sections(const ReadContext& context, const ConfigScope& scope, RunConfig& config) {
  for (const Section& section : kSections) {
    const toml::node* node = context.document.root().get(section.name);
    if (node == nullptr) continue;
    const std::vector<const toml::table*> tables = tables_of(section, *node, context);
    if (!section.is_wanted(scope)) continue;
    for (const toml::table* table : tables) {
      SectionReader reader(context, section.name, *table);
      section.read(reader, config);
      reader.refuse_others();
    }
    if (section.may_repeat) check_adapter_names(tables, config, context);
  }
}

void require_section(const char* name, const std::string& why, const ReadContext& context) {
  if (context.document.root().contains(name)) return;
  context.problems.add(context.document.place_of(""),
                       '[' + std::string(name) + "] is missing: " + why);
}

// What is trained decides where it is written.
void check_output(const RunConfig& config, const ReadContext& context) {
  const bool full = config.train && config.train->full;
  const auto add = [&](const char* key, const std::string& text) {
    context.problems.add(context.document.place_of(key), text);
  };
  if (full && config.output.directory) {
    add("output.directory",
        "`output.directory` is for an adapter; with `train.full` the weights go to `output.model`");
  } else if (full && !config.output.model) {
    add("output", "`output.model` is missing: the safetensors file for all weights");
  }
  if (full || config.adapters.empty()) return;
  if (config.output.model) {
    add("output.model",
        "`output.model` is only for `train.full`; an adapter goes to `output.directory`");
  }
  if (!config.output.directory) {
    add("output", "`output.directory` is missing: the folder for the adapter");
  }
}

void check_training(const RunConfig& config, const ReadContext& context) {
  require_section("data", "it names the file to train on", context);
  require_section("train", "it says how to train", context);
  const bool full = config.train && config.train->full;
  const bool has_adapter = context.document.root().contains("adapter");
  if (full && config.model.quantize != "none") {
    context.problems.add(context.document.place_of("model.quantize"),
                         "`model.quantize` keeps weights that are frozen, and `train.full` trains "
                         "every parameter: leave one out");
  }
  if (full && has_adapter) {
    context.problems.add(
        context.document.place_of("train.full"),
        "`train.full` trains every parameter, [adapter] only a few: leave one out");
  } else if (!full && !has_adapter) {
    context.problems.add(context.document.place_of(""),
                         "nothing to train: [adapter] is missing and `train.full` is not true");
  }
  const bool evaluates = config.data && (!config.data->eval.empty() || config.data->eval_fraction);
  for (const char* key : {"train.eval_steps", "train.metrics"}) {
    if (evaluates || context.document.root().at_path(key).node() == nullptr) continue;
    context.problems.add(context.document.place_of(key),
                         '`' + std::string(key) +
                             "` needs `data.eval`, the file to evaluate on, or "
                             "`data.eval_fraction`");
  }
  check_output(config, context);
}

// Every plain value or list under its name, "adapter[0].r".
void list_values(const toml::node& node, const std::string& name,
                 std::map<std::string, std::string>& values) {
  if (const toml::table* table = node.as_table()) {
    for (const auto& [key, value] : *table) {
      list_values(value, (name.empty() ? "" : name + ".") + std::string(key.str()), values);
    }
  } else if (node.is_array_of_tables()) {
    std::size_t index = 0;
    for (const toml::node& item : *node.as_array()) {
      list_values(item, name + "[" + std::to_string(index++) + "]", values);
    }
  } else {
    std::ostringstream text;
    node.visit([&](const auto& value) { text << value; });
    values[name] = text.str();
  }
}

void list_keys(SectionReader& reader, std::vector<ConfigKey>& keys) {
  keys.insert(keys.end(), reader.keys().begin(), reader.keys().end());
}

RunConfig read_run_config(const TomlDocument& document, const ConfigScope& scope,
                          const FurtherProblems& further, Problems& problems) {
  const ReadContext context{document, problems};
  RunConfig config;
  config.file = document.file();
  refuse_unknown_sections(context);
  if (scope.model) require_section("model", "it names the model to work on", context);
  read_sections(context, scope, config);
  if (scope.training) check_training(config, context);
  if (scope.evaluation) {
    require_section("data", "it says what the rows are", context);
    if (!config.train) config.train.emplace();
  }
  list_values(document.root(), "", config.values);
  if (!problems.empty() && further) further(config, problems);
  problems.throw_if_any(document.file().string());
  return config;
}

}  // namespace

RunConfig read_run_config(const std::filesystem::path& file,
                          const std::vector<std::string>& overrides, const ConfigScope& scope,
                          const FurtherProblems& further) {
  Problems problems;
  return read_run_config(read_document(file, overrides, problems), scope, further, problems);
}

RunConfig read_run_config(const ConfigText& text, const ConfigScope& scope) {
  Problems problems;
  return read_run_config(read_document(text), scope, {}, problems);
}

AdapterConfig read_adapter_keys(const std::vector<std::string>& keys) {
  Problems problems;
  toml::table root;
  std::vector<std::string> overrides;
  for (const std::string& key : keys) overrides.push_back("adapter." + key);
  apply_overrides(root, overrides, problems);
  const TomlDocument document("--set", std::move(root));
  RunConfig config = read_run_config(document, {.model = false, .adapter = true}, {}, problems);
  return config.adapters.empty() ? AdapterConfig() : std::move(config.adapters.front());
}

// Reading an empty table asks for every key that there is.
std::vector<ConfigKey> config_keys() {
  Problems ignored;
  const TomlDocument document;
  const toml::table nothing;
  const ReadContext context{document, ignored};
  std::vector<ConfigKey> keys;
  RunConfig config;
  DeclaredLayer layer;
  for (const Section& section : kSections) {
    SectionReader reader(context, section.name, nothing);
    section.read(reader, config);
    list_keys(reader, keys);
  }
  SectionReader layer_reader(context, "model.layers", nothing);
  read_layer(layer_reader, layer);
  list_keys(layer_reader, keys);
  LossTerm term;
  SectionReader loss_reader(context, "train.losses", nothing);
  read_term_of_several(loss_reader, term);
  list_keys(loss_reader, keys);
  return keys;
}

}  // namespace tenon
