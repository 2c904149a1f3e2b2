#include "adapter/lora_layers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "adapter/adapter_folder.h"
#include "base/error.h"
#include "base/suggest.h"
#include "inject/name_patterns.h"

namespace tenon {
namespace {

bool lies_in(std::string_view key, const std::string& path) {
  return key.size() > path.size() && key.starts_with(path) && key[path.size()] == '.';
}

// The module of modules_to_save that holds the key; an entry is a whole path or ends one.
std::string saved_module(const AdapterFiles& files, const std::string& key) {
  for (const std::string& entry : files.config.modules_to_save) {
    if (lies_in(key, entry)) return entry;
    const std::size_t found = key.find("." + entry + ".");
    if (found != std::string::npos) return key.substr(0, found + 1 + entry.size());
  }
  return "";
}

void set_factor(LoraPair& pair, const std::string& name, const at::Tensor& tensor) {
  if (name == "lora_embedding_A" || name == "lora_embedding_B") pair.is_embedding = true;
  if (name == "lora_A.weight" || name == "lora_embedding_A") pair.a = tensor;
  if (name == "lora_B.weight" || name == "lora_embedding_B") pair.b = tensor;
  if (name == "lora_B.bias") pair.bias = tensor;
  if (name == "lora_magnitude_vector") pair.magnitude = tensor;
}

std::string fault_of(const LoraPair& pair) {
  if (!pair.a.defined()) return "lora_A is missing";
  if (!pair.b.defined()) return "lora_B is missing";
  if (pair.a.dim() < 2 || pair.b.dim() < 2 || pair.a.size(0) == 0 || pair.b.size(1) == 0 ||
      pair.a.size(0) % pair.b.size(1) != 0) {
    return "lora_A " + c10::str(pair.a.sizes()) + " and lora_B " + c10::str(pair.b.sizes()) +
           " do not fit each other";
  }
  return "";
}

}  // namespace

TensorPlace place_of(const AdapterFiles& files, const std::string& key) {
  const RecordedLayer* maker = nullptr;
  for (const RecordedLayer& layer : files.layers) {
    const bool is_nearer = maker == nullptr || layer.name.size() > maker->name.size();
    if (lies_in(key, layer.name) && is_nearer) maker = &layer;
  }
  using Kind = TensorPlace::Kind;
  if (maker != nullptr) return {Kind::kLayer, maker->name, key.substr(maker->name.size() + 1)};
  const std::string saved = saved_module(files, key);
  if (!saved.empty()) return {Kind::kSavedModule, saved, key.substr(saved.size() + 1)};
  const bool is_lora = files.config.method == "lora";
  const std::size_t dot = is_lora ? key.rfind(".lora_") : key.rfind('.');
  if (dot != std::string::npos) return {Kind::kLayer, key.substr(0, dot), key.substr(dot + 1)};
  const std::size_t last = key.rfind('.');
  if (last == std::string::npos) return {Kind::kOther, "", key};
  return {Kind::kOther, key.substr(0, last), key.substr(last + 1)};
}

at::Tensor LoraPair::product() const {
  const at::ScalarType type = a.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  return at::mm(b.to(type).flatten(1), a.to(type).flatten(1)) * scaling;
}

std::map<std::string, LoraPair> lora_pairs(const AdapterFiles& files) {
  std::map<std::string, LoraPair> pairs;
  for (const AdapterTensor& tensor : files.tensors) {
    const std::size_t dot = tensor.key.rfind(".lora_");
    if (dot == std::string::npos || !saved_module(files, tensor.key).empty()) continue;
    set_factor(pairs[tensor.key.substr(0, dot)], tensor.key.substr(dot + 1), tensor.tensor);
  }
  std::vector<std::string> faults;
  const NamePatterns<double> alphas("alpha_pattern", files.config.alpha_pattern);
  for (auto& [module, pair] : pairs) {
    const std::string fault = fault_of(pair);
    if (!fault.empty()) {
      faults.push_back(std::string(module).append(": ").append(fault));
      continue;
    }
    pair.alpha = alphas.value(pattern_path(module)).value_or(files.config.lora_alpha);
    const auto rank = static_cast<double>(pair.rank());
    pair.scaling = pair.alpha / (files.config.use_rslora ? std::sqrt(rank) : rank);
  }
  if (faults.empty()) return pairs;
  throw Error({.stage = Stage::kAdapter,
               .message = "the adapter's tensors are not whole:\n  " + join(faults, "\n  "),
               .hint = "copy the whole folder again",
               .location = files.config.location});
}

std::string factor_name(const LoraPair& pair, char factor) {
  return pair.is_embedding ? std::string("lora_embedding_") + factor
                           : std::string("lora_") + factor + ".weight";
}

std::string pattern_path(const std::string& module) {
  return module.substr(0, module.find(".base_layer"));
}

}  // namespace tenon
