#include "check/scenarios.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <thread>

#include "adapted/mixed_rows.h"
#include "base/error.h"
#include "check/forced_errors.h"
#include "check/gradient_check.h"
#include "check/host_probe.h"
#include "check/tensors_differ.h"

namespace tenon {
namespace {

using Tensors = std::vector<at::Tensor>;

Finding not_tried(const char* rule, const std::string& reason) {
  return {rule, RuleStatus::kNotTried, reason};
}

Tensors run_without_gradients(const AdaptedModel& model, const Tensors& inputs) {
  const at::NoGradGuard no_grad;
  return model.forward(inputs, {});
}

void declares_alike(const TrialLayer& layer, Findings& findings) {
  const InjectionPlan first = layer.plan(layer.base());
  const InjectionPlan second = layer.plan(layer.base());
  findings.push_back(
      judge("declares-alike", first.layers[0].parameters == second.layers[0].parameters
                                  ? ""
                                  : "it declared other parameters when it was asked again"));
}

void runs(const TrialLayer& layer, Findings& findings) {
  const auto model = layer.adapt(layer.base());
  model->forward(layer.base().inputs, {});
  model->forward(layer.base().inputs, {.training = true});
  findings.push_back({"runs"});
}

// Zeros, ones and constants are how a layer says that it starts as its base.
void starts_as_base(const TrialLayer& layer, Findings& findings) {
  const InjectionPlan plan = layer.plan(layer.base());
  const auto& parameters = plan.layers[0].parameters;
  if (std::none_of(parameters.begin(), parameters.end(), [](const ParameterSpec& spec) {
        return spec.init == "zeros" || spec.init == "ones" || spec.init == "constant";
      })) {
    findings.push_back(not_tried("starts-as-base", "no parameter starts at a constant"));
    return;
  }
  const AdaptedModel bare(layer.base().model);
  const AdaptedModel adapted(layer.base().model, plan, 0);
  const std::string difference =
      tensors_differ(run_without_gradients(bare, layer.base().inputs),
                     run_without_gradients(adapted, layer.base().inputs), 1e-5);
  findings.push_back(
      judge("starts-as-base", difference.empty() ? "" : "against the base, " + difference));
}

// nullptr where the layer type refuses dropout, as one that adapts the weights does.
std::unique_ptr<AdaptedModel> adapt_with_dropout(const TrialLayer& layer) {
  try {
    return layer.adapt(layer.base(), 0.5);
  } catch (const Error&) {
    return nullptr;
  }
}

void repeatable(const TrialLayer& layer, Findings& findings) {
  const auto model = layer.adapt(layer.base());
  draw_parameters(*model);
  const Tensors& inputs = layer.base().inputs;
  const Tensors first = run_without_gradients(*model, inputs);
  run_without_gradients(*model, layer.base().draw_inputs(2));
  std::string fault = tensors_differ(first, run_without_gradients(*model, inputs), 0);
  if (!fault.empty()) {
    fault = "in a second call on the same inputs, " + fault;
  } else if (const auto with_dropout = adapt_with_dropout(layer)) {
    draw_parameters(*with_dropout);
    fault = tensors_differ(first, run_without_gradients(*with_dropout, inputs), 1e-5);
    if (!fault.empty()) fault = "with dropout, in evaluation, " + fault;
  }
  findings.push_back(judge("repeatable", fault));
}

void gradients(const TrialLayer& layer, Findings& findings) {
  TrialBase base = layer.base().to(at::kDouble);
  const auto model = layer.adapt(base);
  draw_parameters(*model);
  std::vector<Variable> variables;
  const std::vector<ParameterSpec> specs = layer.plan(base).layers[0].parameters;
  const Tensors parameters = model->trainable();
  std::size_t i = 0;
  for (const ParameterSpec& spec : specs) {
    if (spec.trainable() && i < parameters.size())
      variables.push_back({spec.name, parameters[i++]});
  }
  for (const auto& [name, tensor] : variables) {
    if (tensor.scalar_type() == at::kDouble) continue;
    const std::string reason = name + " is not of double precision on a base that is";
    findings.push_back(not_tried("gradients", reason));
    findings.push_back(not_tried("parameters-train", reason));
    return;
  }
  const std::size_t n_parameters = variables.size();
  for (std::size_t k = 0; k < base.inputs.size(); ++k) {
    if (!base.inputs[k].is_floating_point()) continue;
    base.inputs[k].requires_grad_(true);
    variables.push_back({"input " + std::to_string(k), base.inputs[k]});
  }
  const GradientFaults faults =
      check_gradients([&] { return model->forward(base.inputs, {}); }, variables, n_parameters);
  findings.push_back(judge("gradients", faults.wrong));
  findings.push_back(judge("parameters-train", faults.missing));
}

void merge(const TrialLayer& layer, Findings& findings) {
  if (!layer.can_merge()) {
    findings.push_back(not_tried("merge", "it has no merged_weight, so it cannot be merged"));
    return;
  }
  const TrialBase base = layer.base().to(at::kDouble);
  const auto model = layer.adapt(base);
  const auto merged = layer.adapt_merged(base);
  draw_parameters(*model);
  draw_parameters(*merged);
  const std::string difference = tensors_differ(run_without_gradients(*model, base.inputs),
                                                run_without_gradients(*merged, base.inputs), 1e-9);
  findings.push_back(judge("merge", difference.empty() ? "" : "merged, " + difference));
}

// What the pair of the form changes of the weight, by the parameters of the one layer.
at::Tensor change_of_factors(const AdaptedModel& model, const FactorForm& form) {
  const AdapterInstance& adapter = model.adapter();
  const auto parameter = [&](const std::string& name) {
    const auto& specs = adapter.layers[0].parameters;
    const auto found = std::ranges::find(specs, name, &ParameterSpec::name);
    return found == specs.end()
               ? at::Tensor()
               : adapter.layer_adapters[0]
                     .layer_adapter->parameters()[static_cast<std::size_t>(found - specs.begin())];
  };
  const at::Tensor down = parameter(form.down);
  const at::Tensor up = parameter(form.up);
  if (!down.defined() || !up.defined() || down.dim() < 2 || up.dim() < 2) return {};
  const at::Tensor product = at::mm(up.detach().flatten(1), down.detach().flatten(1));
  return (form.transposed ? product.t() : product) * adapter.layers[0].scaling;
}

void factors(const TrialLayer& layer, Findings& findings) {
  const TrialBase base = layer.base().to(at::kDouble);
  const auto model = layer.adapt(base);
  const PlannedLayer& planned = model->adapter().layers[0];
  const FactorForm* form = planned.layer_type->factors();
  if (form == nullptr || !layer.can_merge()) {
    findings.push_back(not_tried("factors", "it does not say that its change is a product"));
    return;
  }
  draw_parameters(*model);
  const at::Tensor expected = change_of_factors(*model, *form);
  const auto& weights = planned.facts->description().weights;
  const auto weight = std::ranges::find(weights, "weight", &WeightFacts::name);
  if (!expected.defined() || weight == weights.end()) {
    findings.push_back(judge("factors", "it says that its change is a product, but there is no " +
                                            (expected.defined() ? std::string("`weight`")
                                                                : form->down + " or " + form->up)));
    return;
  }
  const Tensors changes = model->layers()[0]->weight_changes(model->adapter().config.name);
  const at::Tensor change = changes[static_cast<std::size_t>(weight - weights.begin())];
  const std::string difference =
      change.defined() ? tensors_differ({expected}, {change.reshape(expected.sizes())}, 1e-9)
                       : "it does not change";
  findings.push_back(
      judge("factors", difference.empty() ? "" : "of what `weight` changes by, " + difference));
}

// Every other row with the adapter.
void rows(const TrialLayer& layer, Findings& findings) {
  if (!layer.heeds_rows()) {
    findings.push_back(not_tried("rows",
                                 "it is never given any: the host calls it once for each "
                                 "adapter of a batch"));
    return;
  }
  const auto model = layer.adapt(layer.base());
  draw_parameters(*model);
  const at::NoGradGuard no_grad;
  const Tensors& inputs = layer.base().inputs;
  std::vector<std::string> adapters;
  for (std::int64_t row = 0; row < inputs.at(0).size(0); ++row) {
    adapters.push_back(row % 2 == 0 ? model->adapter().config.name : kBaseRows);
  }
  const Tensors mixed = model->forward_rows(inputs, adapters, {});
  Tensors expected = model->forward(inputs, {});
  model->set_enabled(false);
  const Tensors base = model->forward(inputs, {});
  const at::Tensor odd = at::arange(1, static_cast<std::int64_t>(adapters.size()), 2);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const at::Tensor rows = odd.to(expected[i].device());
    expected[i] = expected[i].index_copy(0, rows, base[i].index_select(0, rows));
  }
  const std::string difference = tensors_differ(expected, mixed, 1e-5);
  findings.push_back(
      judge("rows", difference.empty() ? "" : "with every other row its own, " + difference));
}

void no_grad(const TrialLayer& layer, Findings& findings) {
  const auto model = layer.adapt(layer.base());
  draw_parameters(*model);
  const Tensors with = model->forward(layer.base().inputs, {});
  const Tensors without = run_without_gradients(*model, layer.base().inputs);
  std::string fault = tensors_differ(with, without, 1e-5);
  if (!fault.empty()) fault = "without gradients, " + fault;
  if (std::any_of(without.begin(), without.end(),
                  [](const at::Tensor& output) { return output.requires_grad(); })) {
    fault = "an output records gradients although they are switched off";
  }
  findings.push_back(judge("no-grad", fault));
}

void threads(const TrialLayer& layer, Findings& findings) {
  constexpr std::size_t kThreads = 4;
  constexpr int kRounds = 20;
  HostProbe::instance().counts_threads = false;
  const auto model = layer.adapt(layer.base());
  draw_parameters(*model);
  std::vector<Tensors> inputs;
  std::vector<Tensors> expected;
  for (std::size_t i = 0; i < kThreads; ++i) {
    inputs.push_back(layer.base().draw_inputs(10 + i));
    expected.push_back(run_without_gradients(*model, inputs.back()));
  }
  std::vector<std::string> faults(kThreads);
  std::vector<std::thread> workers;
  for (std::size_t i = 0; i < kThreads; ++i) {
    workers.emplace_back([&, i] {
      for (int round = 0; round < kRounds && faults[i].empty(); ++round) {
        try {
          faults[i] = tensors_differ(expected[i], run_without_gradients(*model, inputs[i]), 1e-5);
        } catch (const std::exception& error) {
          faults[i] = error.what();
        }
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  const auto found = std::find_if(faults.begin(), faults.end(),
                                  [](const std::string& fault) { return !fault.empty(); });
  findings.push_back(judge(
      "threads", found == faults.end()
                     ? ""
                     : "beside " + std::to_string(kThreads - 1) + " other threads, " + *found));
}

void forced_errors(const TrialLayer& layer, Findings& findings) {
  findings.push_back(judge("forced-errors", find_swallowed_errors(layer)));
}

const Scenario kScenarios[] = {
    {{"declares-alike"}, declares_alike},
    {{"runs"}, runs},
    {{"repeatable"}, repeatable},
    {{"starts-as-base"}, starts_as_base},
    {{"gradients", "parameters-train"}, gradients},
    {{"merge"}, merge},
    {{"factors"}, factors},
    {{"rows"}, rows},
    {{"no-grad"}, no_grad},
    {{"threads"}, threads},
    {{"forced-errors"}, forced_errors},
};

}  // namespace

std::span<const Scenario> all_scenarios() { return kScenarios; }

}  // namespace tenon
