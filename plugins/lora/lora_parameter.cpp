// LoRA on any 2-D or 3-D parameter of any module (PEFT: target_parameters): the module runs on
// W + s * B A for each parameter that the config names.
#include <algorithm>
#include <array>
#include <string_view>

#include <tenon/sdk.hpp>

#include "lora/weights.hpp"

namespace {

struct LoraParameter : lora::WeightsLayer<LoraParameter> {
  static constexpr tenon::layer_type kType{.id = "tenon.lora-parameter",
                                           .method = "lora",
                                           .base = "torch.nn.Parameter",
                                           .title = "lora.Parameter",
                                           .doc = "Low-rank updates of parameters by name."};

  static bool is_adapted(const Weight& weight) { return weight.is_target; }

  // Experts that are kept as (n, in, out): PEFT asks the module for `is_transposed`, which these
  // classes of transformers set.
  static bool is_transposed(const tenon::Base& base) {
    constexpr std::array<std::string_view, 3> kTransposed{"GptOssExperts", "AriaExperts",
                                                          "OpenAIPrivacyFilterExperts"};
    const auto type = base.find_attribute<std::string>("module_type").value_or("");
    return std::any_of(kTransposed.begin(), kTransposed.end(),
                       [&](std::string_view name) { return type.ends_with(name); });
  }
};

}  // namespace

TENON_PLUGIN("tenon.lora-parameter", "0.1.0", LoraParameter)
