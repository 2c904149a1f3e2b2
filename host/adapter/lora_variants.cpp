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

constexpr std::array<Name, 4> kStarts{{
    {"corda", "CorDA"},
    {"loftq", "LoftQ"},
    {"lora_ga", "LoRA-GA"},
    {"mica", "MiCA"},
}};

template <std::size_t kSize>
std::string_view look_up(const std::array<Name, kSize>& table, std::string_view key) {
  for (const auto& [known, name] : table) {
    if (known == key) return name;
  }
  return "";
}

}  // namespace

bool is_off(const OrderedJson& value) {
  return value.is_null() || value == false ||
         (value.is_string() && value.get_ref<const std::string&>().empty()) ||
         (value.is_structured() && value.empty());
}

std::string_view foreign_variant(std::string_view key) { return look_up(kVariants, key); }
std::string_view foreign_start(std::string_view init) { return look_up(kStarts, init); }

}  // namespace tenon
