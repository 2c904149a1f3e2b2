#include "adapter/plain_factors.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

#include "plan/factor_keys.h"

namespace tenon {
AdapterFiles as_plain_factors(AdapterFiles files, const Method& method,
                              const std::map<std::string, FactorPair>& starts) {
  const Factors& factors = *method.factors();
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
  FactorKeysEditor keys(method, files.config.method_keys);
  keys.set_plain_start();
  keys.set_rank(keys.rank() * 2);
  // Keeps alpha / r, or with a root alpha / sqrt(r).
  const double factor = keys.by_root() ? std::sqrt(2.0) : 2;
  keys.set_alpha(keys.alpha() * factor);
  auto ranks = keys.rank_pattern();
  for (auto& [pattern, rank] : ranks) rank *= 2;
  keys.set_rank_pattern(ranks);
  auto alphas = keys.alpha_pattern();
  for (auto& [pattern, alpha] : alphas) alpha *= factor;
  keys.set_alpha_pattern(alphas);
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
