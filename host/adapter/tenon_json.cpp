// tenon.json: {"format": 1, "base": "crc32-sha256:...", "layers": [{"name", "type", "plugin",
// "version", "sha256", "options"}, ...]}; FORMAT.md describes each key.
#include "adapter/tenon_json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <type_traits>

#include "adapter/json_problems.h"
#include "base/json.h"

namespace tenon {
namespace {

constexpr std::int64_t kFormat = 1;

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

// JSON has no infinity and no NaN: {"float": "inf"}.
OrderedJson number_to_json(double value) {
  if (std::isfinite(value)) return value;
  if (std::isnan(value)) return {{"float", "nan"}};
  return {{"float", value > 0 ? "inf" : "-inf"}};
}

OrderedJson option_to_json(const OptionValue& value) {
  return std::visit(
      [](const auto& held) -> OrderedJson {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Held, double>) {
          return number_to_json(held);
        } else if constexpr (std::is_same_v<Held, std::vector<double>>) {
          OrderedJson list = OrderedJson::array();
          for (const double item : held) list.push_back(number_to_json(item));
          return list;
        } else {
          return held;
        }
      },
      value);
}

std::optional<double> number_from_json(const OrderedJson& json) {
  if (json.is_number()) return json.get<double>();
  if (json == OrderedJson{{"float", "nan"}}) return std::numeric_limits<double>::quiet_NaN();
  if (json == OrderedJson{{"float", "inf"}}) return std::numeric_limits<double>::infinity();
  if (json == OrderedJson{{"float", "-inf"}}) return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

std::optional<OptionValue> list_from_json(const OrderedJson& json) {
  if (std::all_of(json.begin(), json.end(), is_integer)) {
    return json.get<std::vector<std::int64_t>>();
  }
  std::vector<double> numbers;
  for (const OrderedJson& item : json) {
    const std::optional<double> number = number_from_json(item);
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

std::optional<OptionValue> option_from_json(const OrderedJson& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) return list_from_json(json);
  if (is_integer(json)) return json.get<std::int64_t>();
  const std::optional<double> number = number_from_json(json);
  if (!number) return std::nullopt;
  return *number;
}

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
                          "true or false, a number, a string or numbers", value);
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

// Before anything else: another format may mean something else by every key.
void check_format(const OrderedJson& json, const std::string& file) {
  const auto found = json.is_object() ? json.find("format") : json.end();
  if (!json.is_object() || found == json.end() || !is_integer(*found)) {
    throw Error({.stage = Stage::kAdapter,
                 .message = "this is not the record of an adapter: it has no `format` number",
                 .hint = "delete it to use the folder as PEFT's own",
                 .location = file});
  }
  if (*found == kFormat) return;
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
  problems.check_keys(json, "", {"format", "base", "layers"});
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
