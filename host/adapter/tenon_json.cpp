// tenon.json: {"format": 2, "base": "crc32-sha256:...", "sha256": {"adapter_config.json",
// "adapter_model.safetensors"}, "layers": [{"name", "type", "plugin", "version", "sha256",
// "options"}, ...]}; FORMAT.md describes each key. Format 1 has no hashes of the files.
#include "adapter/tenon_json.h"

#include <algorithm>
#include <array>
#include <set>

#include "adapter/adapter_folder.h"
#include "adapter/json_problems.h"
#include "adapter/option_json.h"
#include "base/json.h"

namespace tenon {
namespace {

constexpr std::int64_t kFormat = 2;
constexpr std::int64_t kFormatWithoutHashes = 1;

// The text members of a layer, by key.
struct TextMember {
  const char* key;
  std::string RecordedLayer::*member;
};
constexpr std::array kTextMembers = std::to_array<TextMember>({{"name", &RecordedLayer::name},
                                                               {"type", &RecordedLayer::type},
                                                               {"plugin", &RecordedLayer::plugin},
                                                               {"version", &RecordedLayer::version},
                                                               {"sha256", &RecordedLayer::sha256}});

OrderedJson layer_to_json(const RecordedLayer& layer) {
  OrderedJson json;
  for (const TextMember& text : kTextMembers) json[text.key] = layer.*text.member;
  json["options"] = OrderedJson::object();
  for (const auto& [key, value] : layer.options) json["options"][key] = option_to_json(value);
  return json;
}

void read_options(const OrderedJson& json, const std::string& place, OptionTable& options,
                  JsonProblems& problems) {
  if (!json.is_object()) return problems.wrong_type(place, "a table", json);
  for (const auto& [key, value] : json.items()) {
    if (const auto option = option_from_json(value)) {
      options[key] = *option;
    } else {
      problems.wrong_type(std::string(place).append(".").append(key),
                          "true or false, a number, a string or a list of one of them", value);
    }
  }
}

RecordedLayer read_layer(const OrderedJson& json, const std::string& place,
                         JsonProblems& problems) {
  RecordedLayer layer;
  if (!json.is_object()) {
    problems.wrong_type(place, "a table", json);
    return layer;
  }
  problems.check_keys(json, place + ".",
                      {"name", "type", "plugin", "version", "sha256", "options"});
  for (const TextMember& text : kTextMembers) {
    const auto found = json.find(text.key);
    if (found == json.end()) continue;
    if (found->is_string()) {
      layer.*text.member = found->get<std::string>();
    } else {
      problems.wrong_type(std::string(place).append(".").append(text.key), "a string", *found);
    }
  }
  if (json.contains("options")) {
    read_options(json["options"], place + ".options", layer.options, problems);
  }
  return layer;
}

void read_layers(const OrderedJson& json, TenonRecord& record, JsonProblems& problems) {
  if (!json.is_array()) return problems.wrong_type("layers", "a list", json);
  std::set<std::string> names;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const std::string place = std::string("layers[").append(std::to_string(i)).append("]");
    record.layers.push_back(read_layer(json[i], place, problems));
    const std::string& name = record.layers.back().name;
    if (!name.empty() && !names.insert(name).second) {
      problems.add(
          std::string("`").append(place).append("` is a second layer named `").append(name) + "`");
    }
  }
}

void read_hashes(const OrderedJson& json, TenonRecord& record, JsonProblems& problems) {
  if (!json.is_object()) return problems.wrong_type("sha256", "a table", json);
  problems.check_keys(json, "sha256.", {kConfigFile, kTensorFile});
  const auto read = [&](const char* name, std::string& hash) {
    const auto found = json.find(name);
    if (found == json.end()) return;
    if (!found->is_string()) {
      return problems.wrong_type(std::string("sha256.") + name, "a string", *found);
    }
    hash = found->get<std::string>();
  };
  read(kConfigFile, record.config_sha256);
  read(kTensorFile, record.tensors_sha256);
}

// Before anything else: another format may mean something else by every key.
void check_format(const OrderedJson& json, const std::string& file) {
  const auto found = json.is_object() ? json.find("format") : json.end();
  if (!json.is_object() || found == json.end() || !is_integer(*found)) {
    throw Error({.stage = Stage::kAdapter,
                 .message = "this is not the record of an adapter: it has no `format` number",
                 .hint = "delete it to use the folder as PEFT's own",
                 .location = file});
  }
  if (*found == kFormat || *found == kFormatWithoutHashes) return;
  const bool newer = *found > kFormat;
  throw Error({.stage = Stage::kAdapter,
               .message = "its format is " + found->dump() + ", this tenon reads format " +
                          std::to_string(kFormat),
               .hint = newer ? "update tenon" : "save the adapter again",
               .location = file});
}

}  // namespace

std::string write_tenon_json(const TenonRecord& record) {
  OrderedJson json;
  json["format"] = kFormat;
  json["base"] = record.base_fingerprint;
  json["sha256"] = {{kConfigFile, record.config_sha256}, {kTensorFile, record.tensors_sha256}};
  json["layers"] = OrderedJson::array();
  for (const RecordedLayer& layer : record.layers) {
    json["layers"].push_back(layer_to_json(layer));
  }
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

TenonRecord read_tenon_json(std::string_view text, const std::string& file) {
  const OrderedJson json = parse_ordered_json(
      text, {.stage = Stage::kAdapter, .message = "the file", .hint = "", .location = file});
  check_format(json, file);

  JsonProblems problems;
  TenonRecord record;
  if (json["format"] == kFormatWithoutHashes) {
    problems.check_keys(json, "", {"format", "base", "layers"});
  } else {
    problems.check_keys(json, "", {"format", "base", "sha256", "layers"});
    if (json.contains("sha256")) read_hashes(json["sha256"], record, problems);
  }
  if (json.contains("base")) {
    if (json["base"].is_string()) {
      record.base_fingerprint = json["base"].get<std::string>();
    } else {
      problems.wrong_type("base", "a string", json["base"]);
    }
  }
  if (json.contains("layers")) read_layers(json["layers"], record, problems);
  problems.throw_if_any({.stage = Stage::kAdapter,
                         .message = "the record of the adapter is damaged:",
                         .hint = "save the adapter again",
                         .location = file});
  return record;
}

}  // namespace tenon
