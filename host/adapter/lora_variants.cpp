#include "adapter/lora_variants.h"

#include <array>
#include <string>
#include <utility>

namespace tenon {
namespace {

using Name = std::pair<std::string_view, std::string_view>;

constexpr std::array<Name, 10> kVariants{{
    {"alora_invocation_tokens", "aLoRA"},
    {"arrow_config", "Arrow routing"},
    {"kasa_config", "KaSA"},
    {"layer_replication", "layer replication"},
    {"megatron_config", "Megatron's parallel layers"},
    {"monteclora_config", "MonteCLoRA"},
    {"use_bdlora", "BD-LoRA"},
    {"use_qalora", "QALoRA"},
    {"velora_config", "VeLoRA"},
    {"enable_lora", "LoRA on parts of a merged Linear, as PEFT before 0.3 had it"},
}};

}  // namespace

bool is_off(const OrderedJson& value) {
  return value.is_null() || value == false ||
         (value.is_string() && value.get_ref<const std::string&>().empty()) ||
         (value.is_structured() && value.empty());
}

std::string_view foreign_variant(std::string_view key) {
  for (const auto& [known, name] : kVariants) {
    if (known == key) return name;
  }
  return "";
}

}  // namespace tenon
