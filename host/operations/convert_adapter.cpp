#include "operations/convert_adapter.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "adapter/factor_pairs.h"
#include "adapter/idle_tensors.h"
#include "adapter/plain_factors.h"
#include "adapter/tied_tensors.h"
#include "base/error.h"
#include "base/suggest.h"
#include "model/fingerprint.h"
#include "model/linear_layer.h"
#include "operations/adapter_stages.h"
#include "plan/factor_keys.h"
#include "plan/method_config.h"
#include "targets/name_patterns.h"

namespace tenon {
namespace {

[[noreturn]] void fail(const std::vector<std::string>& problems) {
  throw Error({.stage = Stage::kAdapter,
               .message = "this adapter cannot be converted to two factors for each layer:\n  " +
                          join(problems, "\n  ")});
}

struct Layer {
  std::string path;
  bool is_embedding = false;
  at::Tensor delta;     // (out, in)
  at::Tensor bias;      // what is added to the bias; undefined for nothing
  std::string tied_to;  // the layer before it, sharing the weight, whose factors it gets
};

// The change of one layer's weights as one matrix, or what is in the way.
std::string read_layer(const PlannedLayer& planned, const std::vector<at::Tensor>& deltas,
                       Layer& layer) {
  const LayerFacts::Description& facts = planned.facts->description();
  layer.path = facts.module_path;
  // Or of a class of its own that is adapted as one.
  const std::vector<std::string> embedding{"torch.nn.Embedding"};
  layer.is_embedding = facts.type == embedding[0] || planned.layer_type->base_types() == embedding;
  const std::string place = "`" + layer.path + "`, a " + facts.type + ", ";
  if (!is_linear(facts.type) && !layer.is_embedding) {
    return place + "is no Linear and no Embedding";
  }
  for (std::size_t i = 0; i < deltas.size(); ++i) {
    const std::string& name = facts.weights[i].name;
    if (!deltas[i].defined() || !deltas[i].any().item<bool>()) continue;
    if (name == "bias") {
      layer.bias = deltas[i];
    } else if (name == "weight") {
      layer.delta = layer.is_embedding ? deltas[i].t() : turn_matrix(facts.type, deltas[i]);
    } else {
      return std::string(place).append("has a changed ").append(name);
    }
  }
  return layer.delta.defined() ? "" : place + "has no change of its weight";
}

std::int64_t rank_of(const at::Tensor& values, const ConvertRank& wanted) {
  if (wanted.rank) return *wanted.rank;
  const at::Tensor energy = values.square().cumsum(0);
  const at::Tensor cutoff = energy[-1] * wanted.energy;
  return std::min(at::searchsorted(energy, cutoff).item<std::int64_t>() + 1, values.size(0));
}

FactorMatrices decomposed(const Layer& layer, const ConvertRank& wanted) {
  const auto [u, s, v] = at::linalg_svd(layer.delta, false);
  const std::int64_t rank = rank_of(s, wanted);
  if (rank > s.size(0)) {
    fail({"the rank " + std::to_string(rank) + " is larger than `" + layer.path + "` has (" +
          std::to_string(s.size(0)) + "); choose a lower one"});
  }
  return {v.narrow(0, 0, rank), u.narrow(1, 0, rank) * s.narrow(0, 0, rank)};
}

// The adapter that others are converted to, while its layers are added.
struct Converted {
  const Method& method;
  const ConvertRank& wanted;
  AdapterFiles files = {};
  bool has_bias = false;
  FactorKeys::Patterns<std::int64_t> ranks = {};
  FactorKeys::Patterns<double> alphas = {};
};

void add_factors(const Layer& layer, const FactorMatrices& factors, Converted& converted) {
  const FactorForm& form = converted.method.factors()->form(layer.is_embedding);
  const auto add = [&](const std::string& name, const at::Tensor& tensor) {
    converted.files.tensors.push_back({layer.path + "." + name, tensor.contiguous()});
  };
  add(form.down, factors.a);
  add(form.up, factors.b);
  if (converted.has_bias) {
    const at::Tensor none = at::zeros({layer.delta.size(0)}, layer.delta.options());
    add(form.bias, layer.bias.defined() ? layer.bias : none);
  }
  if (converted.wanted.rank) return;
  const std::int64_t rank = factors.a.size(0);
  converted.ranks.emplace_back(exact_pattern(layer.path), rank);
  converted.alphas.emplace_back(exact_pattern(layer.path), static_cast<double>(rank));
}

void add_layers(const std::vector<Layer>& layers, Converted& converted) {
  std::map<std::string, FactorMatrices> factors;
  std::map<std::string, bool> embeds;
  for (const Layer& layer : layers) {
    embeds[layer.path] = layer.is_embedding;
    const bool is_tied = !layer.tied_to.empty();
    if (is_tied) converted.files.config.ensure_weight_tying = true;
    factors[layer.path] = is_tied ? tied_factors(factors.at(layer.tied_to),
                                                 embeds.at(layer.tied_to) != layer.is_embedding)
                                  : decomposed(layer, converted.wanted);
    add_factors(layer, factors.at(layer.path), converted);
  }
  FactorKeysEditor keys(converted.method, converted.files.config.method_keys);
  keys.set_bias(converted.has_bias);
  keys.set_rank_pattern(converted.ranks);
  keys.set_alpha_pattern(converted.alphas);
}

// The config of an adapter of the method on the layers and saved modules of another adapter.
AdapterConfig converted_config(const AdapterConfig& config, const MethodTable& methods,
                               const Method& method, std::int64_t rank) {
  AdapterConfig converted;
  converted.method = method.name();
  converted.target_modules = config.target_modules;
  converted.exclude_modules = config.exclude_modules;
  converted.modules_to_save = config.modules_to_save;
  converted.layers_to_transform = config.layers_to_transform;
  converted.layers_pattern = config.layers_pattern;
  converted = with_method(std::move(converted), methods).config;
  FactorKeysEditor keys(method, converted.method_keys);
  keys.set_rank(rank);
  keys.set_alpha(static_cast<double>(rank));
  // PEFT's, of a layer whose weight is stored transposed.
  constexpr const char* kStored = "fan_in_fan_out";
  const auto stored = config.method_keys.find(kStored);
  if (stored != config.method_keys.end() && converted.method_keys.contains(kStored)) {
    converted.method_keys[kStored] = stored->second;
  }
  return converted;
}

AdapterFiles started_files(const ModelData& model, const AdapterFiles& files,
                           const PluginRegistry& plugins) {
  const InjectionPlan plan = plan_injection(model, files.config, plugins, files.layers);
  const auto placed = place_adapter(model, plan, 0);
  AdapterFiles start;
  start.config = plan.config;
  for (const AdapterTensor& tensor : adapter_tensors(*placed)) {
    start.tensors.push_back({tensor.key, tensor.tensor.detach()});
  }
  AdapterFiles used = files;
  take_idle_tensors(plan.idle, used);
  assign_adapter(used, adapter_tensors(*place_adapter(model, plan, 0)),
                 std::filesystem::path(files.config.location).parent_path());
  return start;
}

}  // namespace

AdapterFiles convert_to_factors(const AdaptedModel& model, const AdapterFiles& files,
                                const MethodTable& methods, const ConvertRank& rank) {
  const Method* method = methods.find_general();
  if (method == nullptr) fail({"no method is here that others are converted to"});
  const at::NoGradGuard no_grad;
  const AdapterInstance& adapter = model.adapter();
  std::vector<std::string> problems;
  if (adapter.config.bias != "none") {
    problems.push_back("it trained biases (bias = \"" + adapter.config.bias + "\")");
  }
  if (!adapter.config.trainable_tokens.empty()) {
    problems.emplace_back("it trained rows of an embedding");
  }
  std::map<std::string, std::vector<at::Tensor>> deltas;
  for (const AdaptedLayer* layer : model.layers()) {
    if (layer->find(adapter.config.name) == nullptr) continue;
    deltas[layer->path()] = layer->weight_changes(adapter.config.name);
  }
  Converted converted{*method, rank};
  AdapterFiles& result = converted.files;
  result.config = converted_config(adapter.config, methods, *method, rank.rank.value_or(1));
  result.base_model_class = files.base_model_class;
  result.parent_library = files.parent_library;
  result.base_fingerprint = base_fingerprint(model.base_tensors());
  std::vector<Layer> layers;
  for (const PlannedLayer& planned : adapter.layers) {
    Layer layer;
    const std::string& path = planned.facts->description().module_path;
    const std::string problem = read_layer(planned, deltas[path], layer);
    if (!problem.empty()) problems.push_back(problem);
    if (planned.changes_alike) {
      layer.tied_to = model.model().tree.at(planned.tied_to).path;
    }
    layers.push_back(std::move(layer));
  }
  converted.has_bias =
      std::ranges::any_of(layers, [](const Layer& layer) { return layer.bias.defined(); });
  for (const Layer& layer : layers) {
    if (converted.has_bias && layer.is_embedding) {
      problems.push_back("`" + layer.path + "` is an Embedding, which cannot have the " +
                         method->factors()->keys().bias + " that other layers need");
    }
  }
  if (!problems.empty()) fail(problems);
  add_layers(layers, converted);
  for (const AddedTensor& added : adapter.tensors) {
    if (std::ranges::count(adapter.saved, added.module) > 0) {
      result.tensors.push_back({added.key(), added.tensor.detach()});
    }
  }
  return result;
}

AdapterFiles plain_adapter(const ModelData& model, const AdapterFiles& files,
                           const PluginRegistry& plugins) {
  const Method& method = *plugins.methods().of(files.config);
  AdapterFiles result =
      as_plain_factors(files, method, factor_pairs(started_files(model, files, plugins), method));
  if (result.base_fingerprint.empty()) result.base_fingerprint = base_fingerprint(model.tensors);
  return result;
}

}  // namespace tenon
