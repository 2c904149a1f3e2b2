#include "adapter/plain_factors.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

namespace tenon {
AdapterFiles as_plain_factors(AdapterFiles files, const Factors& factors,
                              const std::map<std::string, FactorPair>& starts) {
  for (AdapterTensor& tensor : files.tensors) {
    const auto name = factors.find(tensor.key);
    if (!name || (name->part != FactorPart::kDown && name->part != FactorPart::kUp)) continue;
    const bool is_down = name->part == FactorPart::kDown;
    const auto start = starts.find(name->module);
    // What does nothing in this model has no start, and the rank of the others.
    at::Tensor added = at::zeros_like(tensor.tensor);
    if (start != starts.end()) {
      added = (is_down ? start->second.a : -start->second.b).to(tensor.tensor.scalar_type());
    }
    tensor.tensor = at::cat({tensor.tensor, added}, is_down ? 0 : 1);
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

std::map<std::string, FactorPair> starts_beside_the_base(const GivenStarts& given,
                                                         const Factors& factors) {
  std::map<std::string, FactorPair> starts;
  for (const auto& [path, start] : given) {
    if (start.residuals.empty()) continue;
    FactorPair& pair = starts[path];
    pair.form = &factors.form(false);
    pair.a = start.parameters.at(pair.form->down);
    pair.b = start.parameters.at(pair.form->up);
  }
  return starts;
}

}  // namespace tenon
