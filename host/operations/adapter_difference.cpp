#include "operations/adapter_difference.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "adapter/factor_pairs.h"
#include "adapter/peft_config.h"
#include "base/json.h"
#include "objectives/tensor_text.h"

namespace tenon {
namespace {

// The order of the names in a list of modules means nothing.
OrderedJson config_of(const AdapterFiles& files) {
  OrderedJson config = OrderedJson::parse(
      write_peft_config(files.config, files.base_model_class, files.parent_library));
  for (const char* key : {"target_modules", "exclude_modules", "modules_to_save"}) {
    if (config.contains(key) && config.at(key).is_array()) {
      std::sort(config.at(key).begin(), config.at(key).end());
    }
  }
  return config;
}

std::vector<ConfigDifference> compare_configs(const AdapterFiles& one, const AdapterFiles& other) {
  const OrderedJson left = config_of(one);
  const OrderedJson right = config_of(other);
  std::vector<ConfigDifference> differences;
  for (const auto& [key, value] : left.items()) {
    if (!right.contains(key)) {
      differences.push_back({key, value.dump(), ""});
    } else if (right.at(key) != value) {
      differences.push_back({key, value.dump(), right.at(key).dump()});
    }
  }
  for (const auto& [key, value] : right.items()) {
    if (!left.contains(key)) differences.push_back({key, "", value.dump()});
  }
  return differences;
}

double relative_norm(const at::Tensor& one, const at::Tensor& other) {
  const double difference = (one - other).norm().item<double>();
  return difference == 0 ? 0 : difference / one.norm().item<double>();
}

void compare_tensor(const std::string& key, const at::Tensor& one, const at::Tensor& other,
                    std::vector<TensorDifference>& differences) {
  if (one.sizes() != other.sizes() || one.scalar_type() != other.scalar_type()) {
    differences.push_back({key, shape_text(one.sizes()) + " " + dtype_text(one.scalar_type()) +
                                    " and " + shape_text(other.sizes()) + " " +
                                    dtype_text(other.scalar_type())});
    return;
  }
  if (at::equal(one, other) || one.numel() == 0) return;
  const at::Tensor left = one.to(at::kDouble);
  const at::Tensor right = other.to(at::kDouble);
  differences.push_back(
      {key, "", (left - right).abs().max().item<double>(), relative_norm(left, right)});
}

std::vector<TensorDifference> compare_tensors(const AdapterFiles& one, const AdapterFiles& other) {
  std::map<std::string, std::pair<at::Tensor, at::Tensor>> tensors;
  for (const AdapterTensor& tensor : one.tensors) tensors[tensor.key].first = tensor.tensor;
  for (const AdapterTensor& tensor : other.tensors) tensors[tensor.key].second = tensor.tensor;
  std::vector<TensorDifference> differences;
  for (const auto& [key, pair] : tensors) {
    if (!pair.first.defined()) {
      differences.push_back({key, "only in the second"});
    } else if (!pair.second.defined()) {
      differences.push_back({key, "only in the first"});
    } else {
      compare_tensor(key, pair.first, pair.second, differences);
    }
  }
  return differences;
}

std::vector<LayerDifference> compare_layers(const AdapterFiles& one, const AdapterFiles& other,
                                            const MethodTable& methods) {
  std::vector<LayerDifference> differences;
  const Method* method = methods.of(one.config);
  if (method == nullptr || method->factors() == nullptr || methods.of(other.config) != method) {
    return differences;
  }
  const auto left = factor_pairs(one, *method);
  const auto right = factor_pairs(other, *method);
  for (const auto& [module, pair] : left) {
    const auto found = right.find(module);
    if (found == right.end() || pair.is_grouped() || found->second.is_grouped()) continue;
    const at::Tensor term = pair.product();
    const at::Tensor other_term = found->second.product();
    if (term.sizes() != other_term.sizes()) continue;
    const double relative = relative_norm(term, other_term);
    if (relative != 0) differences.push_back({module, relative});
  }
  return differences;
}

}  // namespace

AdapterDifference compare_adapters(const AdapterFiles& one, const AdapterFiles& other,
                                   const MethodTable& methods) {
  const bool known = !one.base_fingerprint.empty() && !other.base_fingerprint.empty();
  return {compare_configs(one, other), compare_tensors(one, other),
          compare_layers(one, other, methods),
          !known || one.base_fingerprint == other.base_fingerprint};
}

}  // namespace tenon
