#include "app/config_schema.h"

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "adapter/option_json.h"
#include "app/key_help.h"
#include "config/toml_reader.h"

namespace tenon {
namespace {

using Json = nlohmann::ordered_json;

void add_bounds(Json& schema, const Bounds& bounds) {
  if (std::isfinite(bounds.low)) {
    schema[bounds.low_included ? "minimum" : "exclusiveMinimum"] = bounds.low;
  }
  if (std::isfinite(bounds.high)) {
    schema[bounds.high_included ? "maximum" : "exclusiveMaximum"] = bounds.high;
  }
}

Json strings_schema(const std::vector<std::string>& choices) {
  if (!choices.empty()) return {{"type", "string"}, {"enum", choices}};
  return {{"type", "string"}, {"minLength", 1}};
}

Json list_of(Json items) { return {{"type", "array"}, {"items", std::move(items)}}; }

// Of a type as configs/README.md names it: "integer", "list of numbers or string".
Json type_schema(const std::string& type, const ConfigKey& key) {
  const std::size_t either = type.find(" or ");
  if (either != std::string::npos) {
    return {
        {"anyOf",
         {type_schema(type.substr(0, either), key), type_schema(type.substr(either + 4), key)}}};
  }
  if (type == "list of two numbers") {
    Json schema = list_of(type_schema("number", key));
    schema["minItems"] = 2;
    schema["maxItems"] = 2;
    return schema;
  }
  if (type.starts_with("list of ")) {
    const std::string items = type.substr(8);  // "numbers"
    return list_of(type_schema(items.substr(0, items.size() - 1), key));
  }
  if (type == "string" || type == "path") return strings_schema(key.choices);
  if (type == "table") return {{"type", "object"}};
  Json schema{{"type", type}};  // JSON's own word: boolean, integer, number
  if (type != "boolean") add_bounds(schema, key.bounds);
  return schema;
}

Json object_schema() {
  return {{"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}};
}

void add_help(Json& schema, const std::string& help) {
  if (!help.empty()) schema["description"] = help;
}

// The keys of each section by its name; a table in a section ("model.layers") is one of its own.
std::map<std::string, Json> section_schemas() {
  const std::map<std::string, std::string> help = key_help(configs_readme());
  std::map<std::string, Json> sections;
  for (const ConfigKey& key : config_keys()) {
    const std::size_t dot = key.name.rfind('.');
    Json& section = sections.try_emplace(key.name.substr(0, dot), object_schema()).first->second;
    Json schema = type_schema(key.type, key);
    if (!key.fallback.empty()) {
      // A default of TOML's is one of JSON's where it is no date, and none is.
      schema["default"] = Json::parse(key.fallback);
    }
    const auto text = help.find(key.name);
    add_help(schema, text == help.end() ? "" : text->second);
    section["properties"][key.name.substr(dot + 1)] = std::move(schema);
  }
  return sections;
}

// A value of a plugin's option.
Json option_schema(const DeclaredOption& option) {
  Json forms = Json::array();
  const auto add_number = [&](const char* type) {
    Json schema{{"type", type}};
    if (const auto low = wide_number(option.minimum)) schema["minimum"] = static_cast<double>(*low);
    if (const auto high = wide_number(option.maximum)) {
      schema["maximum"] = static_cast<double>(*high);
    }
    return schema;
  };
  const auto has = [&](tenon_option_types type) { return (option.types & type) != 0; };
  if (has(TENON_OPTION_BOOL)) forms.push_back({{"type", "boolean"}});
  if (has(TENON_OPTION_INT)) forms.push_back(add_number("integer"));
  if (has(TENON_OPTION_DOUBLE)) forms.push_back(add_number("number"));
  if (has(TENON_OPTION_STRING)) forms.push_back(strings_schema(option.choices));
  if (has(TENON_OPTION_BOOL_LIST)) forms.push_back(list_of({{"type", "boolean"}}));
  if (has(TENON_OPTION_INT_LIST)) forms.push_back(list_of(add_number("integer")));
  if (has(TENON_OPTION_DOUBLE_LIST)) forms.push_back(list_of(add_number("number")));
  if (has(TENON_OPTION_STRING_LIST)) forms.push_back(list_of(strings_schema(option.choices)));
  if (has(TENON_OPTION_MODULES)) {
    forms.push_back({{"type", "string"}});
    forms.push_back(list_of({{"type", "string"}}));
  }
  if (has(TENON_OPTION_PATTERNS)) {
    forms.push_back(
        {{"type", "object"}, {"additionalProperties", option_schema(option.fields.front())}});
  }
  if (has(TENON_OPTION_TABLE)) {
    Json table = object_schema();
    for (const DeclaredOption& field : option.fields) {
      table["properties"][field.key] = option_schema(field);
    }
    forms.push_back(std::move(table));
  }
  Json schema = forms.size() == 1 ? forms.front() : Json{{"anyOf", forms}};
  if (!option.required && !std::holds_alternative<std::monostate>(option.initial)) {
    schema["default"] = option_to_json(option.initial);
  }
  add_help(schema, option.help);
  return schema;
}

std::set<std::string> keys_of(const Json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

// What [adapter] is where `method` has this name; the one of the default is meant where it is left
// out.
Json method_rule(const MethodKeys& method, const Json& host, bool is_default) {
  Json keys = Json::object();
  std::vector<std::string> required;
  std::set<std::string> names = keys_of(host);
  for (const DeclaredOption& key : method.keys) {
    keys[key.key] = option_schema(key);
    names.insert(key.key);
    names.insert(key.former_keys.begin(), key.former_keys.end());
    if (key.required) required.push_back(key.key);
  }
  Json condition{{"properties", {{"method", {{"const", method.method}}}}}};
  if (!is_default) condition["required"] = {"method"};
  return {{"if", std::move(condition)},
          {"then",
           {{"properties", std::move(keys)},
            {"required", required},
            {"propertyNames", {{"enum", names}}}}}};
}

// [adapter] or [[adapter]]. The keys of a method are its own, so that each is told from the others
// by `method`; all of them stand in `properties` too, for completion.
Json adapter_schema(Json adapter, const std::vector<MethodKeys>& methods) {
  const Json host = adapter["properties"];
  std::vector<std::string> names;
  Json rules = Json::array();
  for (const MethodKeys& method : methods) {
    names.push_back(method.method);
    rules.push_back(method_rule(method, host, method.method == host["method"]["default"]));
    for (const DeclaredOption& key : method.keys) {
      Json& property = adapter["properties"][key.key];
      if (property.is_null()) add_help(property = Json::object(), key.help);
      for (const std::string& former : key.former_keys) adapter["properties"][former];
    }
  }
  adapter["properties"]["method"]["enum"] = names;
  adapter["allOf"] = std::move(rules);
  return {{"anyOf", {adapter, list_of({{"$ref", "#/properties/adapter/anyOf/0"}})}}};
}

}  // namespace

nlohmann::ordered_json config_schema(const std::vector<MethodKeys>& methods,
                                     const std::vector<std::string>& losses) {
  std::map<std::string, Json> sections = section_schemas();
  for (const char* section : {"train", "train.losses"}) {
    Json& names = sections.at(section)["properties"]["loss"]["enum"];
    for (const std::string& loss : losses) names.push_back(loss);
  }
  // A layer's other keys are its constructor's.
  sections.at("model.layers")["additionalProperties"] = true;
  for (const auto& [section, table] :
       {std::pair("model", "layers"), std::pair("train", "losses")}) {
    sections.at(section)["properties"][table]["items"] =
        sections.at(std::string(section) + "." + table);
  }
  Json schema{{"$schema", "http://json-schema.org/draft-07/schema#"},
              {"title", "A config of Tenon"},
              {"type", "object"},
              {"properties", Json::object()},
              {"additionalProperties", false}};
  for (auto& [name, section] : sections) {
    if (name.find('.') != std::string::npos) continue;
    schema["properties"][name] =
        name == "adapter" ? adapter_schema(std::move(section), methods) : std::move(section);
  }
  return schema;
}

}  // namespace tenon
