#include <map>
#include <utility>

#include "config/sections.h"

namespace tenon {
namespace {

bool is_module_path(const std::string& name) {
  return name.front() != '.' && name.back() != '.' && name.find("..") == std::string::npos;
}

void refuse_duplicates(const SectionReader& section, const std::vector<DeclaredLayer>& layers,
                       const std::vector<const toml::table*>& tables) {
  std::map<std::string, std::string> first_at;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const DeclaredLayer& layer = layers[i];
    const auto [first, is_new] = first_at.emplace(layer.name, layer.location);
    if (is_new || layer.name.empty()) continue;
    const ReadContext& context = section.context();
    context.problems.add(
        context.document.place(tables[i]->source()),
        "a layer named `" + layer.name + "` is already declared at " + first->second);
  }
}

void read_layers(SectionReader& section, std::vector<DeclaredLayer>& layers) {
  const auto value = section.take("layers", "list of tables", "");
  if (!value) return;
  if (!value->is_list()) return value->fail_type("a list of tables: [[model.layers]]");
  if (value->items().empty()) return value->fail("must not be empty");
  std::vector<const toml::table*> tables;
  for (const ConfigValue& item : value->items()) {
    if (item.table() == nullptr) {
      item.fail_type("a table: [[model.layers]]");
      continue;
    }
    SectionReader reader(section.context(), item.name(), *item.table());
    read_layer(reader, layers.emplace_back());
    tables.push_back(item.table());
  }
  refuse_duplicates(section, layers, tables);
}

}  // namespace

void read_layer(SectionReader& section, DeclaredLayer& layer) {
  layer.location = section.location();
  section.string("name", layer.name);
  section.string("type", layer.type);
  section.require("name", "the layer's dotted path, such as \"seq.0\"");
  section.require("type", "the layer's PyTorch type, such as \"Linear\"");
  if (!layer.name.empty() && !is_module_path(layer.name)) {
    section.fail_at("name", "must be names joined by single dots, not `" + layer.name + "`");
  }
  for (const ConfigValue& argument : section.others()) {
    if (auto option = argument.as_option()) layer.arguments[argument.key()] = *std::move(option);
  }
}

void read_model_section(SectionReader& section, RunConfig& config) {
  ModelConfig& model = config.model;
  model.location = section.location();
  section.path("path", model.path);
  section.string("plugin", model.plugin);
  section.options("options", model.options);
  section.string("name", model.name);
  read_layers(section, model.layers);
  section.path("weights", model.weights);
  section.choice("dtype", model.dtype, {"none", "float32", "float64", "bfloat16", "float16"});
  section.string("device", model.device);
  section.seed("seed", model.seed);
  section.choice("quantize", model.quantize, {"none", "int8", "nf4"});
  section.module_rule("quantize_modules", model.quantize_modules);
  section.module_rule("quantize_exclude", model.quantize_exclude);
  for (const char* key : {"quantize_modules", "quantize_exclude"}) {
    if (section.has(key) && !section.has("quantize")) {
      section.fail_at(key, "says what to quantise, but `model.quantize` does not say how");
    }
  }

  const int sources = static_cast<int>(section.has("path")) +
                      static_cast<int>(section.has("layers")) +
                      static_cast<int>(section.has("plugin"));
  if (sources == 0) {
    section.fail(
        "[model] needs `path`, an exported program (.pt2), [[model.layers]], a declared model, or "
        "`plugin`, a C++ model");
  }
  if (sources > 1) {
    section.fail_at(section.has("layers") ? "layers" : "plugin",
                    section.has("layers") && section.has("path")
                        ? "and `model.path` exclude each other: a model is either declared or "
                          "exported"
                        : "is one way to name a model: give `path`, [[model.layers]] or `plugin`");
  }
  if (section.has("options") && !section.has("plugin")) {
    section.fail_at("options", "are for a C++ model: `plugin` is missing");
  }
  if (sources == 0 || (section.has("layers") && !section.has("path"))) return;
  if (section.has("name")) {
    section.fail_at("name", section.has("plugin")
                                ? "is for a declared model; a C++ model has its own"
                                : "is for a declared model; an exported program has its own");
  }
  if (section.has("dtype") && section.has("plugin")) {
    section.fail_at("dtype", "is for declared and exported models; a C++ model has its own");
  }
}

}  // namespace tenon
