#include "adapter/method_config_json.h"
#include "adapter/peft_config.h"
#include "base/json.h"

namespace tenon {
namespace {

constexpr const char* kPeftVersion = "0.21.2";

OrderedJson auto_mapping_to_json(const std::string& base_model_class,
                                 const std::string& parent_library) {
  if (base_model_class.empty()) return nullptr;
  return {{"base_model_class", base_model_class}, {"parent_library", parent_library}};
}

}  // namespace

std::string write_peft_config(const AdapterConfig& config, const std::string& base_model_class,
                              const std::string& parent_library) {
  const OrderedJson mapping = auto_mapping_to_json(base_model_class, parent_library);
  const OrderedJson json = write_method_config(config, mapping, kPeftVersion);
  // Python's json.dumps escapes what is not ASCII.
  return json.dump(2, ' ', true, OrderedJson::error_handler_t::replace);
}

}  // namespace tenon
