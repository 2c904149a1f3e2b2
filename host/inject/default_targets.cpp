#include "inject/default_targets.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tenon {
namespace {

using Names = std::vector<std::string>;
using Entry = std::pair<std::string_view, ModuleRule>;

const Names& attention() {
  static const Names names{"q_proj", "v_proj"};
  return names;
}

const std::vector<Entry>& table() {
  static const std::vector<Entry> entries = [] {
    std::vector<Entry> made{
        {"t5", Names{"q", "v"}},
        {"mt5", Names{"q", "v"}},
        {"gpt2", Names{"c_attn"}},
        {"gpt_bigcode", Names{"c_attn"}},
        {"blip-2", Names{"q", "v", "q_proj", "v_proj"}},
        {"deberta-v2", Names{"query_proj", "value_proj"}},
        {"deberta", Names{"in_proj"}},
        {"mpt", Names{"Wqkv"}},
        {"btlm", Names{"c_proj", "c_attn"}},
        {"codegen", Names{"qkv_proj"}},
        {"phi", Names{"q_proj", "v_proj", "fc1", "fc2"}},
        {"gemma4", Regex{R"(.*language_model\..*\.(q_proj|v_proj))"}},
        {"nemotron_h", Names{"q_proj", "k_proj", "v_proj", "o_proj"}},
        {"rwkv", Names{"key", "value", "receptance", "output"}},
        {"rwkv7", Names{"r_proj", "k_proj", "v_proj", "o_proj", "key", "value"}},
    };
    for (const char* type :
         {"bart", "opt", "gptj", "gpt_neo", "llama", "llama4", "mistral", "mixtral", "stablelm",
          "gemma", "gemma2", "gemma3_text", "qwen2", "qwen3"}) {
      made.emplace_back(type, attention());
    }
    for (const char* type : {"bert", "roberta", "xlm-roberta", "electra", "layoutlm"}) {
      made.emplace_back(type, Names{"query", "value"});
    }
    for (const char* type :
         {"bloom", "gpt_neox", "chatglm", "RefinedWebModel", "RefinedWeb", "falcon"}) {
      made.emplace_back(type, Names{"query_key_value"});
    }
    return made;
  }();
  return entries;
}

// Where a file of transformers serves several types, the class tells which.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kTypesOfClasses{{
    {"Gemma3ForCausalLM", "gemma3_text"},
    {"Gemma3TextModel", "gemma3_text"},
    {"Gemma3TextForSequenceClassification", "gemma3_text"},
    {"Llama4ForCausalLM", "llama4_text"},
    {"Llama4TextModel", "llama4_text"},
    {"Gemma4ForCausalLM", "gemma4_text"},
}};

}  // namespace

std::string model_type_of(std::string_view root_class) {
  constexpr std::string_view kFile = ".modeling_";
  const std::size_t start = root_class.rfind(kFile);
  const std::size_t end = root_class.rfind('.');
  if (start == std::string_view::npos || end <= start) return "";
  const std::string_view name = root_class.substr(end + 1);
  for (const auto& [known, type] : kTypesOfClasses) {
    if (known == name) return std::string(type);
  }
  std::string type(root_class.substr(start + kFile.size(), end - start - kFile.size()));
  // Files have an underscore where some types have a dash: xlm_roberta, deberta_v2, blip_2.
  std::string dashed = type;
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  return default_targets(dashed) ? dashed : type;
}

std::optional<ModuleRule> default_targets(std::string_view model_type) {
  for (const auto& [type, rule] : table()) {
    if (type == model_type) return rule;
  }
  return std::nullopt;
}

}  // namespace tenon
