#include "adapter/peft_config.h"

#include "adapter/json_problems.h"
#include "adapter/method_config_json.h"
#include "base/json.h"

namespace tenon {
namespace {

OrderedJson parse(std::string_view text, const std::string& file) {
  OrderedJson json = parse_ordered_json(text, {.stage = Stage::kAdapter,
                                               .message = "the adapter's config",
                                               .hint = "save the adapter again",
                                               .location = file});
  if (json.is_object()) return json;
  throw Error({.stage = Stage::kAdapter,
               .message = "the adapter's config is " + json_kind(json) + ", not a table",
               .hint = "save the adapter again",
               .location = file});
}

std::string peft_type(const OrderedJson& json, const std::string& file) {
  const auto type = json.find("peft_type");
  if (type != json.end() && type->is_string()) return type->get<std::string>();
  throw Error({.stage = Stage::kAdapter,
               .message = type == json.end()
                              ? "the adapter's config has no `peft_type`"
                              : "`peft_type` " + json_excerpt(*type) + " is not a text",
               .hint = "save the adapter again",
               .location = file});
}

}  // namespace

AdapterConfig read_peft_config(std::string_view json, const std::string& file) {
  const OrderedJson parsed = parse(json, file);
  AdapterConfig config = read_method_config(parsed, peft_type(parsed, file), file);
  // Tensors of what does not match are missed when they are assigned.
  config.optional_keys = {"target_modules", "exclude_modules", "modules_to_save", "rank_pattern",
                          "alpha_pattern"};
  return config;
}

BaseModelClass read_base_model_class(std::string_view json, const std::string& file) {
  const OrderedJson parsed = parse(json, file);
  const auto mapping = parsed.find("auto_mapping");
  if (mapping == parsed.end() || !mapping->is_object()) return {};
  const auto text = [&](const char* key) {
    const auto found = mapping->find(key);
    return found != mapping->end() && found->is_string() ? found->get<std::string>() : "";
  };
  return {.name = text("base_model_class"), .parent_library = text("parent_library")};
}

}  // namespace tenon
