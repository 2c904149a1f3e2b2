// The layers that LoRA adapts in models of transformers where target_modules does not say (PEFT:
// TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING).
#pragma once

#include <tenon/sdk.hpp>

namespace lora {

inline constexpr const char* kAttention[] = {"q_proj", "v_proj"};
inline constexpr const char* kQueryValue[] = {"query", "value"};
inline constexpr const char* kQueryKeyValue[] = {"query_key_value"};
inline constexpr const char* kT5[] = {"q", "v"};
inline constexpr const char* kGpt2[] = {"c_attn"};
inline constexpr const char* kBlip2[] = {"q", "v", "q_proj", "v_proj"};
inline constexpr const char* kDebertaV2[] = {"query_proj", "value_proj"};
inline constexpr const char* kDeberta[] = {"in_proj"};
inline constexpr const char* kMpt[] = {"Wqkv"};
inline constexpr const char* kBtlm[] = {"c_proj", "c_attn"};
inline constexpr const char* kCodegen[] = {"qkv_proj"};
inline constexpr const char* kPhi[] = {"q_proj", "v_proj", "fc1", "fc2"};
inline constexpr const char* kNemotronH[] = {"q_proj", "k_proj", "v_proj", "o_proj"};
inline constexpr const char* kRwkv[] = {"key", "value", "receptance", "output"};
inline constexpr const char* kRwkv7[] = {"r_proj", "k_proj", "v_proj", "o_proj", "key", "value"};

inline constexpr tenon_target kDefaultTargets[] = {
    tenon::target("t5", kT5),
    tenon::target("mt5", kT5),
    tenon::target("gpt2", kGpt2),
    tenon::target("gpt_bigcode", kGpt2),
    tenon::target("blip-2", kBlip2),
    tenon::target("deberta-v2", kDebertaV2),
    tenon::target("deberta", kDeberta),
    tenon::target("mpt", kMpt),
    tenon::target("btlm", kBtlm),
    tenon::target("codegen", kCodegen),
    tenon::target("phi", kPhi),
    tenon::target("gemma4", R"(.*language_model\..*\.(q_proj|v_proj))"),
    tenon::target("nemotron_h", kNemotronH),
    tenon::target("rwkv", kRwkv),
    tenon::target("rwkv7", kRwkv7),
    tenon::target("bart", kAttention),
    tenon::target("opt", kAttention),
    tenon::target("gptj", kAttention),
    tenon::target("gpt_neo", kAttention),
    tenon::target("llama", kAttention),
    tenon::target("llama4", kAttention),
    tenon::target("mistral", kAttention),
    tenon::target("mixtral", kAttention),
    tenon::target("stablelm", kAttention),
    tenon::target("gemma", kAttention),
    tenon::target("gemma2", kAttention),
    tenon::target("gemma3_text", kAttention),
    tenon::target("qwen2", kAttention),
    tenon::target("qwen3", kAttention),
    tenon::target("bert", kQueryValue),
    tenon::target("roberta", kQueryValue),
    tenon::target("xlm-roberta", kQueryValue),
    tenon::target("electra", kQueryValue),
    tenon::target("layoutlm", kQueryValue),
    tenon::target("bloom", kQueryKeyValue),
    tenon::target("gpt_neox", kQueryKeyValue),
    tenon::target("chatglm", kQueryKeyValue),
    tenon::target("RefinedWebModel", kQueryKeyValue),
    tenon::target("RefinedWeb", kQueryKeyValue),
    tenon::target("falcon", kQueryKeyValue),
};

}  // namespace lora
