#include "start/data_start.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <set>

#include "base/error.h"
#include "base/suggest.h"
#include "inject/adapted_model.h"
#include "inject/exact_targets.h"
#include "inject/factor_keys.h"
#include "inject/linear_layer.h"
#include "inject/name_patterns.h"
#include "start/corda.h"
#include "start/eva.h"
#include "train/batch_order.h"

namespace tenon {
namespace {

const std::string& path_of(const PlannedLayer& layer) {
  return layer.facts->description().module_path;
}

// Of the weights that the facts tell of.
std::size_t weight_number(const PlannedLayer& layer) {
  const std::vector<WeightFacts>& weights = layer.facts->description().weights;
  const auto weight = std::ranges::find(weights, "weight", &WeightFacts::name);
  return static_cast<std::size_t>(weight - weights.begin());
}

at::Tensor matrix_of(const ModelData& model, const PlannedLayer& layer) {
  const auto tensor = static_cast<std::size_t>(layer.tensors[weight_number(layer)]);
  return turn_matrix(layer.facts->description().type, model.tensors[tensor].tensor.detach());
}

FactorKeys keys_of(const InjectionPlan& plan) { return {*plan.method, plan.config.method_keys}; }
FactorKeys keys_of(const InjectionPlan& plan, const PlannedLayer& layer) {
  return {*plan.method, layer.options};
}

bool is_start(const InjectionPlan& plan, const char* name) {
  const FactorStart* start = keys_of(plan).start();
  return start != nullptr && start->name == name;
}

// The table of the start's own keys.
OptionTable start_keys(const InjectionPlan& plan) {
  OptionTable keys;
  const FactorStart* start = keys_of(plan).start();
  const auto table = plan.config.method_keys.find(start->table);
  if (table == plan.config.method_keys.end()) return keys;
  const auto* entries = std::get_if<OptionEntries>(&table->second);
  if (entries == nullptr) return keys;
  for (const OptionEntry& entry : entries->items) keys.insert_or_assign(entry.key, entry.value);
  return keys;
}

// The planned layers by whether data can start them; rows of embeddings are no LoRA.
struct Layers {
  std::vector<const PlannedLayer*> linear;
  std::vector<const PlannedLayer*> others;

  std::string names_of_others() const {
    std::vector<std::string> names;
    for (const PlannedLayer* layer : others) {
      names.push_back("`" + path_of(*layer) + "` (" + layer->facts->description().type + ")");
    }
    return join(names);
  }
};

Layers sort_layers(const InjectionPlan& plan) {
  Layers layers;
  for (const PlannedLayer& layer : plan.layers) {
    if (layer.layer_type->method() != plan.config.method) continue;
    (is_linear(layer.facts->description().type) ? layers.linear : layers.others).push_back(&layer);
  }
  return layers;
}

[[noreturn]] void fail(const InjectionPlan& plan, const std::string& what,
                       const std::string& hint) {
  throw Error({.stage = Stage::kInjection,
               .message = start_of(plan) + " " + what,
               .hint = hint,
               .location = plan.config.location});
}

void check(const InjectionPlan& plan, const Layers& layers) {
  if (!plan.config.target_parameters.empty()) {
    fail(plan, "cannot start target_parameters", "name the layers in target_modules");
  }
  if (layers.linear.empty()) {
    fail(plan, "starts Linear layers only, and there is none among " + layers.names_of_others(),
         "choose another init_lora_weights");
  }
  if (is_start(plan, "corda") && !layers.others.empty()) {
    fail(plan, "starts Linear layers only, not " + layers.names_of_others(),
         "leave them out of target_modules");
  }
}

// What every LoRA layer's rank and alpha are, written into the config's patterns, and the layers
// without a rank left out of its targets (PEFT: eva.py, _load_eva_state_dict).
class DealtConfig {
 public:
  explicit DealtConfig(const InjectionPlan& plan)
      : config_(plan.config), keys_(*plan.method, config_.method_keys) {}
  DealtConfig(const DealtConfig&) = delete;
  DealtConfig& operator=(const DealtConfig&) = delete;

  void add(const std::string& path, std::int64_t rank, double alpha) {
    if (rank == 0) {
      dropped_.push_back("`" + path + "`");
      return;
    }
    kept_.push_back(path);
    if (rank != keys_.rank()) ranks_.emplace_back(exact_pattern(path), rank);
    if (alpha != keys_.alpha()) alphas_.emplace_back(exact_pattern(path), alpha);
  }
  // `notes` are told what was left out.
  AdapterConfig config(const ModelData& model, std::vector<std::string>& notes) {
    keys_.set_rank_pattern(ranks_);
    keys_.set_alpha_pattern(alphas_);
    if (dropped_.empty()) return config_;
    notes.push_back("EVA leaves no rank for " + join(dropped_) +
                    ": other layers' inputs explain more with it");
    config_.target_modules = exact_targets(model.tree, kept_);
    config_.exclude_modules = {};
    config_.layers_to_transform.clear();
    config_.layers_pattern.clear();
    return config_;
  }

 private:
  AdapterConfig config_;
  FactorKeysEditor keys_;
  FactorKeys::Patterns<std::int64_t> ranks_;
  FactorKeys::Patterns<double> alphas_;
  std::vector<std::string> kept_;
  std::vector<std::string> dropped_;
};

EvaConfig eva_config(const OptionTable& keys) {
  EvaConfig eva;
  eva.rho = std::get<double>(keys.at("rho"));
  eva.tau = std::get<double>(keys.at("tau"));
  eva.use_label_mask = std::get<bool>(keys.at("use_label_mask"));
  eva.label_mask_value = std::get<std::int64_t>(keys.at("label_mask_value"));
  eva.whiten = std::get<bool>(keys.at("whiten"));
  eva.adjust_scaling_factors = std::get<bool>(keys.at("adjust_scaling_factors"));
  return eva;
}

const FactorForm& form_of(const InjectionPlan& plan) { return plan.method->factors()->form(false); }

DataStart start_by_eva(const AdaptedModel& observed, const InjectionPlan& plan,
                       const Layers& layers, BatchOrder& batches) {
  const ModelData& model = observed.model();
  std::vector<EvaLayer> wanted;
  for (const PlannedLayer* layer : layers.linear) {
    wanted.push_back(
        {path_of(*layer), keys_of(plan, *layer).rank(), matrix_of(model, *layer).size(1)});
  }
  const EvaConfig eva = eva_config(start_keys(plan));
  const auto starts = eva_start(observed, wanted, eva, keys_of(plan).rank(), batches);
  DataStart start;
  DealtConfig dealt(plan);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const std::int64_t rank = starts[i].size(0);
    double alpha = keys_of(plan, *layers.linear[i]).alpha();
    if (eva.adjust_scaling_factors) {
      alpha *= static_cast<double>(rank) / static_cast<double>(wanted[i].rank);
    }
    dealt.add(wanted[i].path, rank, alpha);
    if (rank > 0) {
      start.given[wanted[i].path].parameters.emplace(form_of(plan).down, starts[i]);
    }
  }
  for (const PlannedLayer* layer : layers.others) {
    const FactorKeys keys = keys_of(plan, *layer);
    dealt.add(path_of(*layer), keys.rank(), keys.alpha());
  }
  if (!layers.others.empty()) {
    start.notes.push_back("EVA starts Linear layers only; " + layers.names_of_others() +
                          " start as with " + keys_of(plan).start_key() + " = true");
  }
  start.config = dealt.config(model, start.notes);
  return start;
}

DataStart start_by_corda(const AdaptedModel& observed, const InjectionPlan& plan,
                         const Layers& layers, BatchOrder& batches) {
  const ModelData& model = observed.model();
  std::vector<CordaLayer> wanted;
  for (const PlannedLayer* layer : layers.linear) {
    wanted.push_back(
        {path_of(*layer), keys_of(plan, *layer).rank(), layer->scaling, matrix_of(model, *layer)});
  }
  const auto starts = corda_start(
      observed, wanted, {std::get<std::string>(start_keys(plan).at("corda_method"))}, batches);
  DataStart start;
  start.config = plan.config;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const CordaLayer& layer = wanted[i];
    const at::Tensor rest =
        layer.matrix.to(at::promoteTypes(layer.matrix.scalar_type(), at::kFloat)) -
        layer.scaling * starts[i].b.matmul(starts[i].a);
    const at::Tensor weight =
        turn_matrix(layers.linear[i]->facts->description().type, rest).contiguous();
    GivenStart& given = start.given[layer.path];
    given.parameters = {{form_of(plan).down, starts[i].a}, {form_of(plan).up, starts[i].b}};
    given.residuals.emplace_back(static_cast<std::uint32_t>(weight_number(*layers.linear[i])),
                                 weight.to(layer.matrix.scalar_type()));
  }
  return start;
}

}  // namespace

bool starts_from_data(const InjectionPlan& plan) {
  return plan.method != nullptr && plan.method->factors() != nullptr && !plan.config.init_from &&
         keys_of(plan).starts_from_data();
}

bool deals_ranks(const InjectionPlan& plan) { return is_start(plan, "eva"); }

std::string start_of(const InjectionPlan& plan) {
  return keys_of(plan).start_key() + " = " + keys_of(plan).start_text();
}

DataStart start_from_data(const ModelData& model, const InjectionPlan& plan,
                          const StartData& data) {
  const at::NoGradGuard no_grad;
  const Layers layers = sort_layers(plan);
  check(plan, layers);
  TrainConfig config = data.config;
  config.gradient_accumulation_steps = 1;  // one batch after the other
  BatchOrder batches(data.dataset, model.inputs, config, model.guards);
  const AdaptedModel observed(model, plan, config.seed);
  return is_start(plan, "eva") ? start_by_eva(observed, plan, layers, batches)
                               : start_by_corda(observed, plan, layers, batches);
}

}  // namespace tenon
