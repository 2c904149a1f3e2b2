#include <algorithm>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>

#include "adapter/adapter_folder.h"
#include "adapter/adapter_store.h"
#include "adapter/broken_tensors.h"
#include "adapter/factor_pairs.h"
#include "adapter/peft_config.h"
#include "app/commands.h"
#include "base/error.h"
#include "base/suggest.h"
#include "objectives/tensor_text.h"
#include "plan/method_config.h"
#include "plugin/plugin_registry.h"

// `tenon inspect`: what an adapter's folder holds, told without its model.
namespace tenon {
namespace {

using Json = nlohmann::ordered_json;
using Kind = TensorPlace::Kind;

// The tensors of one kind by module, in the order of their names.
Json modules_of(const AdapterFiles& files, const Factors* factors, Kind kind) {
  std::map<std::string, Json> modules;
  for (const AdapterTensor& tensor : files.tensors) {
    const TensorPlace place = place_of(files, factors, tensor.key);
    if (place.kind != kind) continue;
    modules.try_emplace(place.module, Json::array())
        .first->second.push_back({{"name", place.name},
                                  {"shape", tensor.tensor.sizes().vec()},
                                  {"dtype", dtype_text(tensor.tensor.scalar_type())}});
  }
  Json list = Json::array();
  for (auto& [module, parameters] : modules) {
    list.push_back({{"name", module}, {"parameters", std::move(parameters)}});
  }
  return list;
}

void add_records(const AdapterFiles& files, Json& layers) {
  for (Json& layer : layers) {
    const auto name = layer.at("name").get<std::string>();
    const auto record = std::ranges::find(files.layers, name, &RecordedLayer::name);
    const bool known = record != files.layers.end();
    layer["type"] = known ? Json(record->type) : Json(nullptr);
    layer["plugin"] = known ? Json(record->plugin) : Json(nullptr);
    layer["version"] = known ? Json(record->version) : Json(nullptr);
  }
}

using Pairs = std::map<std::string, FactorPair>;

std::optional<Factors::Name> name_of(const Factors& factors, const std::string& layer,
                                     const Json& parameter) {
  return factors.find(layer + "." + parameter.at("name").get<std::string>());
}

void add_rank(const Factors& factors, const FactorPair& pair, Json& place) {
  if (pair.is_ambiguous) return;
  place[factors.keys().rank] = pair.r;
  place[factors.keys().alpha] = pair.alpha;
  place["scaling"] = pair.scaling;
}

// To the layer or, where the pairs of one differ in it, to the first factor of each.
void add_ranks(const Factors& factors, const Pairs& pairs, Json& layer) {
  const auto name = layer.at("name").get<std::string>();
  std::set<std::tuple<std::int64_t, double, bool>> ranks;
  std::vector<std::pair<Json*, const FactorPair*>> own;
  for (Json& parameter : layer.at("parameters")) {
    const auto part = name_of(factors, name, parameter);
    const auto pair = part ? pairs.find(part->module) : pairs.end();
    if (pair == pairs.end()) continue;
    ranks.emplace(pair->second.r, pair->second.alpha, pair->second.is_ambiguous);
    if (part->part == FactorPart::kDown) own.emplace_back(&parameter, &pair->second);
  }
  if (ranks.size() == 1 && !own.empty()) return add_rank(factors, *own.front().second, layer);
  for (const auto& [parameter, pair] : own) add_rank(factors, *pair, *parameter);
}

// Ranks and scalings as the tensors and the config give them; notes where these differ.
void add_ranks(const AdapterFiles& files, const Method& method, Json& layers,
               std::vector<std::string>& notes) {
  const Factors& factors = *method.factors();
  const Pairs pairs = factor_pairs(files, method);
  for (const auto& [module, pair] : pairs) {
    if (pair.is_ambiguous) {
      notes.push_back("which parameter the tensors of `" + module + "` are of, and so their " +
                      factors.keys().rank + " and " + factors.keys().alpha +
                      ", only the model tells");
    } else if (pair.wanted_r) {
      notes.push_back("`" + module + "` has rank " + std::to_string(pair.rank()) +
                      ", the config says " + std::to_string(*pair.wanted_r));
    }
  }
  for (Json& layer : layers) add_ranks(factors, pairs, layer);
}

std::vector<std::string> find_notes(const AdapterFiles& files) {
  std::vector<std::string> notes;
  if (!files.has_tenon_json) {
    notes.emplace_back(
        "no tenon.json: which plugins made its layers, and on which base it was "
        "trained, is not known");
  }
  const std::vector<std::string> broken = broken_tensors(files);
  if (!broken.empty()) notes.push_back("NaNs or infinities in " + join(broken));
  return notes;
}

Json describe(const std::filesystem::path& folder, const MethodTable& methods) {
  AdapterFiles files = load_adapter(folder);
  const Method* method = methods.of(files.config);
  const Factors* factors = method == nullptr ? nullptr : method->factors();
  if (method != nullptr) files.config = with_method(std::move(files.config), methods).config;
  std::vector<std::string> notes = find_notes(files);
  Json layers = modules_of(files, factors, Kind::kLayer);
  add_records(files, layers);
  if (factors != nullptr) add_ranks(files, *method, layers, notes);
  std::int64_t values = 0;
  std::int64_t bytes = 0;
  for (const AdapterTensor& tensor : files.tensors) {
    values += tensor.tensor.numel();
    bytes += static_cast<std::int64_t>(tensor.tensor.nbytes());
  }
  const auto text = [](const std::string& value) {
    return value.empty() ? Json(nullptr) : Json(value);
  };
  const Json config =
      Json::parse(write_peft_config(files.config, files.base_model_class, files.parent_library));
  return {{"folder", folder.string()},
          {"peft_type", config.at("peft_type")},
          {"base",
           {{"class", text(files.base_model_class)},
            {"library", text(files.parent_library)},
            {"fingerprint", text(files.base_fingerprint)}}},
          {"tensors", files.tensors.size()},
          {"parameters", values},
          {"bytes", bytes},
          {"layers", layers},
          {"modules_to_save", modules_of(files, factors, Kind::kSavedModule)},
          {"others", modules_of(files, factors, Kind::kOther)},
          {"adapters", adapters_inside(folder)},
          {"notes", notes},
          {"config", config}};
}

// All that is a number: "r = 8, scaling = 2", by the method's keys.
void print_rank(const Json& place) {
  const char* before = "  ";
  for (const auto& [key, value] : place.items()) {
    if (!value.is_number()) continue;
    std::cout << std::exchange(before, ", ") << key << " = " << value;
  }
}

void print_parameters(const Json& modules, const std::string& title) {
  if (modules.empty()) return;
  std::cout << title << "\n";
  for (const Json& module : modules) {
    std::cout << "  " << module.at("name").get<std::string>();
    if (module.contains("plugin") && module.at("plugin").is_string()) {
      std::cout << "  " << module.at("type").get<std::string>() << "  by "
                << module.at("plugin").get<std::string>() << " "
                << module.at("version").get<std::string>();
    }
    print_rank(module);
    std::cout << "\n";
    for (const Json& parameter : module.at("parameters")) {
      std::cout << "    " << parameter.at("name").get<std::string>() << "  "
                << shape_text(parameter.at("shape").get<std::vector<std::int64_t>>()) << "  "
                << parameter.at("dtype").get<std::string>();
      print_rank(parameter);
      std::cout << "\n";
    }
  }
}

// Those that PEFT alone uses.
std::set<std::string> keys_without_effect(const MethodTable& methods,
                                          const std::string& peft_type) {
  std::set<std::string> keys;
  const Method* method = methods.find_peft_type(peft_type);
  if (method == nullptr) return keys;
  for (const DeclaredOption& key : method->keys()) {
    if (key.unused) keys.insert(key.key);
  }
  return keys;
}

// The keys that are neither null nor off: what somebody chose.
void print_config(const Json& config, const std::set<std::string>& without_effect) {
  for (const auto& [key, value] : config.items()) {
    const bool is_off = value.is_null() || value == false ||
                        ((value.is_structured() || value.is_string()) && value.empty());
    const bool is_ours = key == "auto_mapping" || key == "peft_version" ||
                         key == "inference_mode" || key == "peft_type" ||
                         without_effect.contains(key);
    if (!is_off && !is_ours) std::cout << "  " << key << " = " << value.dump() << "\n";
  }
}

void print_text(const Json& facts, const std::set<std::string>& without_effect) {
  std::cout << facts.at("peft_type").get<std::string>() << " adapter in "
            << facts.at("folder").get<std::string>() << "\n";
  print_config(facts.at("config"), without_effect);
  const Json& base = facts.at("base");
  if (base.at("class").is_string()) {
    std::cout << "  for " << base.at("class").get<std::string>();
    if (base.at("library").is_string()) {
      std::cout << " of " << base.at("library").get<std::string>();
    }
    std::cout << "\n";
  }
  if (base.at("fingerprint").is_string()) {
    std::cout << "  trained on the base " << base.at("fingerprint").get<std::string>() << "\n";
  }
  print_parameters(facts.at("layers"), "layers:");
  print_parameters(facts.at("modules_to_save"), "modules saved whole:");
  print_parameters(facts.at("others"), "other tensors of the base:");
  std::cout << facts.at("tensors") << " tensors, " << facts.at("parameters") << " parameters, "
            << facts.at("bytes") << " bytes\n";
  for (const Json& other : facts.at("adapters")) {
    std::cout << "another adapter is in " << other.get<std::string>() << "\n";
  }
  for (const Json& note : facts.at("notes")) {
    std::cout << "note: " << note.get<std::string>() << "\n";
  }
}

}  // namespace

void inspect_command(const CommandLine& line) {
  const PluginRegistry plugins({}, line.plugin_directories);
  const Json facts = describe(line.target, plugins.methods());
  if (line.json) {
    std::cout << facts.dump(2) << "\n";
  } else {
    print_text(facts, keys_without_effect(plugins.methods(), facts.at("peft_type")));
  }
}

}  // namespace tenon
