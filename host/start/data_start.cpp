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

namespace tenon {
namespace {

[[noreturn]] void fail_as_bug(const InjectionPlan& plan, const std::string& what) {
  throw Error(
      {.stage = Stage::kTraining, .message = "plugin bug: " + plan.method->name() + ": " + what});
}

// One call of a layer, handles of all that it takes and gives.
class CallView {
 public:
  CallView(std::span<const c10::IValue> inputs, std::span<const c10::IValue> outputs)
      : inputs_(tensors_of(inputs)),
        outputs_(tensors_of(outputs)),
        input_handles_(handles_of(inputs_)),
        output_handles_(handles_of(outputs_)) {}

  tenon_observed call(std::int64_t layer, std::int64_t batch) const {
    tenon_observed call{};
    call.struct_size = sizeof call;
    call.layer = static_cast<std::uint32_t>(layer);
    call.batch = batch;
    call.n_inputs = static_cast<std::uint32_t>(inputs_.size());
    call.n_outputs = static_cast<std::uint32_t>(outputs_.size());
    call.inputs = input_handles_.data();
    call.outputs = output_handles_.data();
    return call;
  }

 private:
  static std::vector<at::Tensor> tensors_of(std::span<const c10::IValue> values) {
    std::vector<at::Tensor> tensors;
    for (const c10::IValue& value : values) tensors.push_back(value.toTensor());
    return tensors;
  }

  std::vector<at::Tensor> inputs_;
  std::vector<at::Tensor> outputs_;
  std::vector<tenon_tensor> input_handles_;
  std::vector<tenon_tensor> output_handles_;
};

void observe_batches(const AdaptedModel& observed, const ObservedLayers& layers,
                     BatchOrder& batches, Observation& observation) {
  for (std::int64_t number = 0;; ++number) {
    const Batch batch = std::move(batches.next().front());
    const at::Tensor positions = used_positions(observed.model().inputs, batch);
    observe_calls(observed, batch, [&](const std::string& path, auto inputs, auto outputs) {
      const std::int64_t layer = layers.find(path);
      if (layer < 0 || inputs.empty()) return;
      const CallView view(inputs, outputs);
      tenon_observed call = view.call(layer, number);
      if (positions.defined()) call.positions = to_handle(positions);
      if (batch.target) call.target = to_handle(*batch.target);
      observation.observe(call);
    });
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
  observe_batches(AdaptedModel(model, plan, config.seed), layers, batches, observation);
  tenon_started started{.declared = &plan.method->keys()};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    started.layers.push_back({.n_weights = static_cast<std::uint32_t>(layers.weights(i).size())});
  }
  observation.finish(started);
  return read(model, plan, layers, std::move(started));
}

}  // namespace tenon
