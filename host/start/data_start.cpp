#include "start/data_start.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstdint>

#include "adapted/adapted_model.h"
#include "base/error.h"
#include "data/batch_order.h"
#include "plan/exact_targets.h"
#include "plan/factor_keys.h"
#include "start/layer_calls.h"
#include "start/observation.h"
#include "targets/name_patterns.h"
#include "train/batch_loss.h"

namespace tenon {
namespace {

[[noreturn]] void fail_as_bug(const InjectionPlan& plan, const std::string& what) {
  throw Error(
      {.stage = Stage::kTraining, .message = "plugin bug: " + plan.method->name() + ": " + what});
}

std::vector<at::Tensor> tensors_of(std::span<const c10::IValue> values) {
  std::vector<at::Tensor> tensors;
  for (const c10::IValue& value : values) tensors.push_back(value.toTensor());
  return tensors;
}

// Handles of all that a call takes and gives. Borrows it.
class CallView {
 public:
  explicit CallView(const RecordedCall& call)
      : inputs_(handles_of(call.inputs)), outputs_(handles_of(call.outputs)) {
    for (const at::Tensor& gradient : call.gradients) {
      gradients_.push_back(gradient.defined() ? to_handle(gradient) : nullptr);
    }
  }

  tenon_observed call(std::int64_t layer, std::int64_t batch) const {
    tenon_observed call{};
    call.struct_size = sizeof call;
    call.layer = static_cast<std::uint32_t>(layer);
    call.batch = batch;
    call.n_inputs = static_cast<std::uint32_t>(inputs_.size());
    call.n_outputs = static_cast<std::uint32_t>(outputs_.size());
    call.inputs = inputs_.data();
    call.outputs = outputs_.data();
    if (!gradients_.empty()) call.output_gradients = gradients_.data();
    return call;
  }

 private:
  std::vector<tenon_tensor> inputs_;
  std::vector<tenon_tensor> outputs_;
  std::vector<tenon_tensor> gradients_;
};

// Shows the calls of a batch to the method.
class BatchObserver {
 public:
  BatchObserver(const AdaptedModel& model, const ObservedLayers& layers, Observation& observation)
      : model_(model), layers_(layers), observation_(observation) {}

  void observe(const Batch& batch, std::int64_t number) const {
    const at::Tensor positions = used_positions(model_.model().inputs, batch);
    observe_calls(model_, batch, [&](const std::string& path, auto inputs, auto outputs) {
      show({path, tensors_of(inputs), tensors_of(outputs), {}}, batch, number, positions);
    });
  }

  // With the gradients of these losses.
  void observe_gradients(const Batch& batch, std::int64_t number,
                         const std::vector<LossSettings>& losses) const {
    const at::Tensor positions = used_positions(model_.model().inputs, batch);
    const auto loss_of = [&](const std::vector<at::Tensor>& outputs) {
      return sum_of_losses(losses, outputs, batch, std::vector<double>(losses.size(), 1));
    };
    for (const RecordedCall& call : record_calls(model_, batch, loss_of)) {
      show(call, batch, number, positions);
    }
  }

 private:
  void show(const RecordedCall& call, const Batch& batch, std::int64_t number,
            const at::Tensor& positions) const {
    const std::int64_t layer = layers_.find(call.path);
    if (layer < 0 || call.inputs.empty()) return;
    const CallView view(call);
    tenon_observed observed = view.call(layer, number);
    if (positions.defined()) observed.positions = to_handle(positions);
    if (batch.target) observed.target = to_handle(*batch.target);
    observation_.observe(observed);
  }

  const AdaptedModel& model_;
  const ObservedLayers& layers_;
  Observation& observation_;
};

bool needs_gradients(const InjectionPlan& plan) {
  return (plan.method->data_needs(plan.config.method_keys) & TENON_NEEDS_GRADIENTS) != 0;
}

void observe_batches(const InjectionPlan& plan, const BatchObserver& observer, BatchOrder& batches,
                     const StartData& data, Observation& observation) {
  const bool with_gradients = needs_gradients(plan);
  if (with_gradients && data.losses.empty()) {
    throw Error(
        {.stage = Stage::kConfig,
         .message = start_of(plan) + " needs gradients of a loss, and there is none here",
         .hint = "start the adapter with `tenon run`, and go on from its folder (init_from)",
         .location = plan.config.location});
  }
  for (std::int64_t number = 0;; ++number) {
    const Batch batch = std::move(batches.next().front());
    if (with_gradients) {
      observer.observe_gradients(batch, number, data.losses);
    } else {
      observer.observe(batch, number);
    }
    if (observation.after_batch()) return;
  }
}

// The table of patterns of a key, every layer's value by its path, but those that the key says.
OptionEntries patterns_of(const InjectionPlan& plan, const ObservedLayers& layers,
                          const tenon_started& started, const std::string& key,
                          const tenon_started::KeyOfLayers& given) {
  OptionEntries patterns;
  const auto add = [&](std::size_t layer, const OptionValue& value) {
    if (started.layers[layer].is_left_out) return;
    if (same_option(value, plan.config.method_keys.at(key))) return;
    patterns.items.push_back({exact_pattern(layers.path(layer)), value});
  };
  for (const auto& [layer, value] : given) add(layer, value);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const bool is_given = std::ranges::count(given, i, [](const auto& of) { return of.first; }) > 0;
    if (!is_given) add(i, layers.planned(i).options->at(key));
  }
  return patterns;
}

// The adapter's targets without the layers that it leaves alone.
void leave_out(const ModelData& model, const ObservedLayers& layers, const tenon_started& started,
               AdapterConfig& config) {
  std::vector<std::uint32_t> order = started.named;
  for (std::uint32_t i = 0; i < layers.size(); ++i) {
    if (std::ranges::count(order, i) == 0) order.push_back(i);
  }
  std::vector<std::string> kept;
  for (const std::uint32_t i : order) {
    if (!started.layers[i].is_left_out) kept.push_back(layers.path(i));
  }
  if (kept.size() == layers.size()) return;
  config.target_modules = exact_targets(model.tree, kept);
  config.exclude_modules = {};
  config.layers_to_transform.clear();
  config.layers_pattern.clear();
}

// What is left of a weight goes into no file, so that it must follow from the factors.
void check_weights(const InjectionPlan& plan, const ObservedLayers& layers, std::size_t i,
                   const tenon_started::Layer& its) {
  if (its.weights.empty()) return;
  const Factors* factors = plan.method->factors();
  const auto is_set = [&](const std::string& name) { return its.parameters.contains(name); };
  if (factors == nullptr || !is_set(factors->form(false).down) ||
      !is_set(factors->form(false).up)) {
    fail_as_bug(plan, "finish set a weight of `" + layers.path(i) + "` and not both its factors");
  }
  for (const auto& [number, tensor] : its.weights) {
    const at::Tensor& own = layers.weights(i)[number];
    if (tensor.sizes() == own.sizes() && tensor.scalar_type() == own.scalar_type()) continue;
    fail_as_bug(plan, "finish set weight " + std::to_string(number) + " of `" + layers.path(i) +
                          "` as " + c10::str(tensor.scalar_type(), " ", tensor.sizes()) +
                          ", it is " + c10::str(own.scalar_type(), " ", own.sizes()));
  }
}

DataStart read(const ModelData& model, const InjectionPlan& plan, const ObservedLayers& layers,
               tenon_started started) {
  DataStart start;
  start.config = plan.config;
  for (const auto& [key, values] : started.keys) {
    const auto declared = std::ranges::find(plan.method->keys(), key, &DeclaredOption::key);
    start.config.method_keys[declared->pattern_key] =
        patterns_of(plan, layers, started, key, values);
  }
  leave_out(model, layers, started, start.config);
  for (std::size_t i = 0; i < started.layers.size(); ++i) {
    tenon_started::Layer& its = started.layers[i];
    check_weights(plan, layers, i, its);
    if (its.is_left_out || (its.parameters.empty() && its.weights.empty())) continue;
    start.given.emplace(layers.path(i),
                        GivenStart{std::move(its.parameters), std::move(its.weights)});
  }
  start.notes = std::move(started.notes);
  return start;
}

}  // namespace

bool starts_from_data(const InjectionPlan& plan) {
  return plan.method != nullptr && !plan.config.init_from &&
         (plan.method->data_needs(plan.config.method_keys) & TENON_NEEDS_DATA) != 0;
}

bool deals_ranks(const InjectionPlan& plan) {
  return (plan.method->data_needs(plan.config.method_keys) & TENON_NEEDS_RANKS) != 0;
}

std::string start_of(const InjectionPlan& plan) {
  if (plan.method->factors() != nullptr) {
    const FactorKeys keys(*plan.method, plan.config.method_keys);
    if (!keys.start_key().empty()) return keys.start_key() + " = " + keys.start_text();
  }
  return "method = \"" + plan.method->name() + "\"";
}

DataStart start_from_data(const ModelData& model, const InjectionPlan& plan,
                          const StartData& data) {
  const at::NoGradGuard no_grad;
  TrainConfig config = data.config;
  config.gradient_accumulation_steps = 1;  // one batch after the other
  BatchOrder batches(data.dataset, model.inputs, config, model.guards);
  const ObservedLayers layers(model, plan, batches.steps_per_epoch());
  Observation observation(plan, layers);
  const AdaptedModel observed(model, plan, config.seed);
  observe_batches(plan, BatchObserver(observed, layers, observation), batches, data, observation);
  tenon_started started{.declared = &plan.method->keys()};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    started.layers.push_back({.n_weights = static_cast<std::uint32_t>(layers.weights(i).size())});
  }
  observation.finish(started);
  return read(model, plan, layers, std::move(started));
}

}  // namespace tenon
