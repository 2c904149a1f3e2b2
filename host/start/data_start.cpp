#include "start/data_start.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <set>

#include "base/error.h"
#include "base/suggest.h"
#include "inject/adapted_model.h"
#include "inject/exact_targets.h"
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

std::int64_t rank_of(const PlannedLayer& layer) {
  return std::get<std::int64_t>(layer.options.at("r"));
}

double alpha_of(const PlannedLayer& layer) {
  return std::get<double>(layer.options.at("lora_alpha"));
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
    if (!layer.options.contains("r")) continue;
    (is_linear(layer.facts->description().type) ? layers.linear : layers.others).push_back(&layer);
  }
  return layers;
}

[[noreturn]] void fail(const InjectionPlan& plan, const std::string& what,
                       const std::string& hint) {
  throw Error({.stage = Stage::kInjection,
               .message = "init_lora_weights = \"" + plan.config.init_lora_weights + "\" " + what,
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
  if (plan.config.init_lora_weights == "corda" && !layers.others.empty()) {
    fail(plan, "starts Linear layers only, not " + layers.names_of_others(),
         "leave them out of target_modules");
  }
}

// What every LoRA layer's rank and alpha are, written into the config's patterns, and the layers
// without a rank left out of its targets (PEFT: eva.py, _load_eva_state_dict).
class DealtConfig {
 public:
  explicit DealtConfig(const AdapterConfig& config) : config_(config) {
    config_.rank_pattern.clear();
    config_.alpha_pattern.clear();
  }
  void add(const std::string& path, std::int64_t rank, double alpha) {
    if (rank == 0) {
      dropped_.push_back("`" + path + "`");
      return;
    }
    kept_.push_back(path);
    if (rank != config_.r) config_.rank_pattern.emplace_back(exact_pattern(path), rank);
    if (alpha != config_.lora_alpha) {
      config_.alpha_pattern.emplace_back(exact_pattern(path), alpha);
    }
  }
  // `notes` are told what was left out.
  AdapterConfig config(const ModelData& model, std::vector<std::string>& notes) && {
    if (dropped_.empty()) return std::move(config_);
    notes.push_back("EVA leaves no rank for " + join(dropped_) +
                    ": other layers' inputs explain more with it");
    config_.target_modules = exact_targets(model.tree, kept_);
    config_.exclude_modules = {};
    config_.layers_to_transform.clear();
    config_.layers_pattern.clear();
    return std::move(config_);
  }

 private:
  AdapterConfig config_;
  std::vector<std::string> kept_;
  std::vector<std::string> dropped_;
};

DataStart start_by_eva(const AdaptedModel& observed, const InjectionPlan& plan,
                       const Layers& layers, BatchOrder& batches) {
  const ModelData& model = observed.model();
  std::vector<EvaLayer> wanted;
  for (const PlannedLayer* layer : layers.linear) {
    wanted.push_back({path_of(*layer), rank_of(*layer), matrix_of(model, *layer).size(1)});
  }
  const EvaConfig& eva = plan.config.eva_config;
  const auto starts = eva_start(observed, wanted, eva, plan.config.r, batches);
  DataStart start;
  DealtConfig dealt(plan.config);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const std::int64_t rank = starts[i].size(0);
    double alpha = alpha_of(*layers.linear[i]);
    if (eva.adjust_scaling_factors) {
      alpha *= static_cast<double>(rank) / static_cast<double>(wanted[i].rank);
    }
    dealt.add(wanted[i].path, rank, alpha);
    if (rank > 0) start.given[wanted[i].path].parameters.emplace("lora_A.weight", starts[i]);
  }
  for (const PlannedLayer* layer : layers.others) {
    dealt.add(path_of(*layer), rank_of(*layer), alpha_of(*layer));
  }
  if (!layers.others.empty()) {
    start.notes.push_back("EVA starts Linear layers only; " + layers.names_of_others() +
                          " start as with init_lora_weights = true");
  }
  start.config = std::move(dealt).config(model, start.notes);
  return start;
}

DataStart start_by_corda(const AdaptedModel& observed, const InjectionPlan& plan,
                         const Layers& layers, BatchOrder& batches) {
  const ModelData& model = observed.model();
  std::vector<CordaLayer> wanted;
  for (const PlannedLayer* layer : layers.linear) {
    wanted.push_back({path_of(*layer), rank_of(*layer), layer->scaling, matrix_of(model, *layer)});
  }
  const auto starts = corda_start(observed, wanted, plan.config.corda_config, batches);
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
    given.parameters = {{"lora_A.weight", starts[i].a}, {"lora_B.weight", starts[i].b}};
    given.residuals.emplace_back(static_cast<std::uint32_t>(weight_number(*layers.linear[i])),
                                 weight.to(layer.matrix.scalar_type()));
  }
  return start;
}

}  // namespace

DataStart start_from_data(const ModelData& model, const InjectionPlan& plan,
                          const StartData& data) {
  const at::NoGradGuard no_grad;
  const Layers layers = sort_layers(plan);
  check(plan, layers);
  TrainConfig config = data.config;
  config.gradient_accumulation_steps = 1;  // one batch after the other
  BatchOrder batches(data.dataset, model.inputs, config, model.guards);
  const AdaptedModel observed(model, plan, config.seed);
  return plan.config.init_lora_weights == "eva" ? start_by_eva(observed, plan, layers, batches)
                                                : start_by_corda(observed, plan, layers, batches);
}

}  // namespace tenon
