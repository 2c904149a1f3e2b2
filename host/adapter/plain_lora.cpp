#include "adapter/plain_lora.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

namespace tenon {

AdapterFiles as_plain_lora(AdapterFiles files, const std::map<std::string, LoraPair>& starts) {
  for (AdapterTensor& tensor : files.tensors) {
    const std::size_t dot = tensor.key.rfind(".lora_");
    const auto start =
        dot == std::string::npos ? starts.end() : starts.find(tensor.key.substr(0, dot));
    if (start == starts.end()) continue;
    const std::string name = tensor.key.substr(dot + 1);
    const at::ScalarType type = tensor.tensor.scalar_type();
    if (name == factor_name(start->second, 'A')) {
      tensor.tensor = at::cat({tensor.tensor, start->second.a.to(type)}, 0);
    } else if (name == factor_name(start->second, 'B')) {
      tensor.tensor = at::cat({tensor.tensor, -start->second.b.to(type)}, 1);
    }
  }
  AdapterConfig& config = files.config;
  config.init_lora_weights = "default";
  config.r *= 2;
  // Keeps alpha / r, or with rslora alpha / sqrt(r).
  const double factor = config.use_rslora ? std::sqrt(2.0) : 2;
  config.lora_alpha *= factor;
  for (auto& [pattern, rank] : config.rank_pattern) rank *= 2;
  for (auto& [pattern, alpha] : config.alpha_pattern) alpha *= factor;
  return files;
}

std::map<std::string, LoraPair> starts_beside_the_base(const GivenStarts& given) {
  std::map<std::string, LoraPair> starts;
  for (const auto& [path, start] : given) {
    if (start.residuals.empty()) continue;
    LoraPair& pair = starts[path];
    pair.a = start.parameters.at("lora_A.weight");
    pair.b = start.parameters.at("lora_B.weight");
  }
  return starts;
}

}  // namespace tenon
