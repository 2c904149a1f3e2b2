#include "adapter/plain_lora.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

namespace tenon {
namespace {

// Of a factor by its name in the file; -1 for what is none.
std::int64_t rank_dimension_of(const std::string& name) {
  if (name == "lora_A.weight" || name == "lora_embedding_A") return 0;
  return name == "lora_B.weight" || name == "lora_embedding_B" ? 1 : -1;
}

}  // namespace

AdapterFiles as_plain_lora(AdapterFiles files, const std::map<std::string, LoraPair>& starts) {
  for (AdapterTensor& tensor : files.tensors) {
    const std::size_t dot = tensor.key.rfind(".lora_");
    if (dot == std::string::npos) continue;
    const std::string name = tensor.key.substr(dot + 1);
    const std::int64_t rank_dimension = rank_dimension_of(name);
    if (rank_dimension < 0) continue;
    const auto start = starts.find(tensor.key.substr(0, dot));
    // What does nothing in this model has no start, and the rank of the others.
    at::Tensor added = at::zeros_like(tensor.tensor);
    if (start != starts.end()) {
      added = (rank_dimension == 0 ? start->second.a : -start->second.b)
                  .to(tensor.tensor.scalar_type());
    }
    tensor.tensor = at::cat({tensor.tensor, added}, rank_dimension);
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
