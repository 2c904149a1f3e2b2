#include "adapter/factor_pairs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "adapter/adapter_folder.h"
#include "base/error.h"
#include "base/suggest.h"
#include "plan/factor_keys.h"
#include "targets/module_names.h"
#include "targets/name_patterns.h"

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

void set_part(FactorPair& pair, const Factors::Name& name, const at::Tensor& tensor) {
  switch (name.part) {
    case FactorPart::kDown:
      pair.a = tensor;
      pair.form = name.form;
      break;
    case FactorPart::kUp:
      pair.b = tensor;
      pair.form = name.form;
      break;
    case FactorPart::kBias:
      pair.bias = tensor;
      break;
    case FactorPart::kMagnitude:
      pair.magnitude = tensor;
      break;
  }
}

std::string fault_of(const FactorPair& pair) {
  if (!pair.a.defined()) return pair.form->down + " is missing";
  if (!pair.b.defined()) return pair.form->up + " is missing";
  if (pair.a.dim() < 2 || pair.b.dim() < 2 || pair.a.size(0) == 0 || pair.b.size(1) == 0 ||
      pair.a.size(0) % pair.b.size(1) != 0) {
    return pair.form->down + " " + c10::str(pair.a.sizes()) + " and " + pair.form->up + " " +
           c10::str(pair.b.sizes()) + " do not fit each other";
  }
  return "";
}

// Tenon names the parameters of a module in the model's order, of which the first lies innermost.
std::optional<std::string> named_parameter(const AdapterFiles& files, const std::string& module) {
  if (!files.has_tenon_json) return std::nullopt;
  const std::string layer = pattern_path(module);
  std::vector<std::string> own;
  for (const std::string& name : files.config.target_parameters) {
    if (name.substr(0, name.rfind('.')) == layer) own.push_back(name);
  }
  const std::size_t outer = (module.size() - layer.size()) / std::string(".base_layer").size();
  if (outer >= own.size()) return std::nullopt;
  return own[own.size() - 1 - outer];
}

// The paths that rank_pattern and its kin may know the pair by: its layer's, or those of the
// parameters that it may be of.
std::vector<std::string> pattern_paths(const AdapterFiles& files, const std::string& module) {
  if (const auto parameter = named_parameter(files, module)) return {*parameter};
  const std::string layer = pattern_path(module);
  std::vector<std::string> paths{layer};
  for (const std::string& name : files.config.target_parameters) {
    const std::size_t dot = name.rfind('.');
    const std::string parameter = std::string(layer).append(".").append(name, dot + 1);
    if (is_named(parameter, name)) paths.push_back(parameter);
  }
  return paths;
}

class PairScaler {
 public:
  PairScaler(const AdapterFiles& files, const Method& method)
      : files_(files),
        keys_(method, files.config.method_keys),
        ranks_("rank_pattern", keys_.rank_pattern()),
        alphas_("alpha_pattern", keys_.alpha_pattern()) {}

  void scale(const std::string& module, FactorPair& pair) const {
    const std::string layer = pattern_path(module);
    std::set<std::pair<std::int64_t, double>> found;
    for (const std::string& path : pattern_paths(files_, module)) {
      const std::int64_t r = ranks_.value(path).value_or(keys_.rank());
      // A parameter may be a stack of matrices.
      if (path == layer ? pair.rank() == r : pair.rank() % r == 0) found.emplace(r, alpha_of(path));
    }
    pair.is_ambiguous = found.size() > 1;
    if (found.empty()) {
      pair.wanted_r = ranks_.value(layer).value_or(keys_.rank());
      found.emplace(pair.rank(), alpha_of(layer));
    }
    std::tie(pair.r, pair.alpha) = *found.begin();
    pair.scaling = keys_.scaling(pair.r, pair.alpha);
  }

 private:
  double alpha_of(const std::string& path) const {
    return alphas_.value(path).value_or(keys_.alpha());
  }

  const AdapterFiles& files_;
  FactorKeys keys_;
  NamePatterns<std::int64_t> ranks_;
  NamePatterns<double> alphas_;
};

}  // namespace

TensorPlace place_of(const AdapterFiles& files, const Factors* factors, const std::string& key) {
  const RecordedLayer* maker = nullptr;
  for (const RecordedLayer& layer : files.layers) {
    const bool is_nearer = maker == nullptr || layer.name.size() > maker->name.size();
    if (lies_in(key, layer.name) && is_nearer) maker = &layer;
  }
  using Kind = TensorPlace::Kind;
  if (maker != nullptr) return {Kind::kLayer, maker->name, key.substr(maker->name.size() + 1)};
  const std::string saved = saved_module(files, key);
  if (!saved.empty()) return {Kind::kSavedModule, saved, key.substr(saved.size() + 1)};
  const auto factor = factors == nullptr ? std::nullopt : factors->find(key);
  if (factor) return {Kind::kLayer, factor->module, key.substr(factor->module.size() + 1)};
  const std::size_t last = key.rfind('.');
  if (factors == nullptr && last != std::string::npos) {
    return {Kind::kLayer, key.substr(0, last), key.substr(last + 1)};
  }
  if (last == std::string::npos) return {Kind::kOther, "", key};
  return {Kind::kOther, key.substr(0, last), key.substr(last + 1)};
}

at::Tensor FactorPair::product() const {
  const at::ScalarType type = a.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  return at::mm(b.to(type).flatten(1), a.to(type).flatten(1)) * scaling;
}

std::map<std::string, FactorPair> factor_pairs(const AdapterFiles& files, const Method& method) {
  const Factors& factors = *method.factors();
  std::map<std::string, FactorPair> pairs;
  for (const AdapterTensor& tensor : files.tensors) {
    const auto name = factors.find(tensor.key);
    if (!name || !saved_module(files, tensor.key).empty()) continue;
    FactorPair& pair = pairs[name->module];
    if (pair.form == nullptr) pair.form = name->form;
    set_part(pair, *name, tensor.tensor);
  }
  std::vector<std::string> faults;
  const PairScaler scaler(files, method);
  for (auto& [module, pair] : pairs) {
    const std::string fault = fault_of(pair);
    if (!fault.empty()) {
      faults.push_back(std::string(module).append(": ").append(fault));
      continue;
    }
    scaler.scale(module, pair);
  }
  if (faults.empty()) return pairs;
  throw Error({.stage = Stage::kAdapter,
               .message = "the adapter's tensors are not whole:\n  " + join(faults, "\n  "),
               .hint = "copy the whole folder again",
               .location = files.config.location});
}

std::string pattern_path(const std::string& module) {
  return module.substr(0, module.find(".base_layer"));
}

}  // namespace tenon
