#include "inject/adapter_init.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <stdexcept>

#include "base/error.h"
#include "graph/new_tensor.h"
#include "graph/parameter_init.h"
#include "graph/upload.h"
#include "inject/layer_adapter.h"
#include "quantize/packed_tensor.h"

namespace tenon {
namespace {

PluginCall call_of(const PlannedLayer& planned, const char* function) {
  return {Stage::kInjection, *planned.facts, planned.layer_type->plugin(), function};
}

// PEFT keeps adapters of a half-precision base in float32, unless autocast_adapter_dtype is off.
at::ScalarType adapter_dtype(const ParameterSpec& spec, const PlannedLayer& planned) {
  if (spec.dtype >= 0) return static_cast<at::ScalarType>(spec.dtype);
  for (const WeightFacts& weight : planned.facts->description().weights) {
    const auto dtype = static_cast<at::ScalarType>(weight.dtype);
    if (dtype == at::kDouble) return at::kDouble;
    if (planned.in_base_dtype && !spec.keeps_float32() && at::isFloatingType(dtype)) return dtype;
  }
  return at::kFloat;
}

void initialise_parameter(const PlannedLayer& planned, const ParameterSpec& spec,
                          const at::Generator& generator, const GivenStart& given,
                          at::Tensor& tensor) {
  if (given.from_file && spec.is_saved()) {
    tensor.zero_();
    return;
  }
  try {
    initialise(tensor, spec.init, spec.init_a, spec.init_b, generator);
  } catch (const std::invalid_argument& misfit) {
    throw_bug(call_of(planned, "add_adapter"), "parameter " + spec.name + ": " + misfit.what());
  }
}

// Drawn on the CPU, so that a seed gives the same start on every device.
at::Tensor make_parameter(const PlannedLayer& planned, const ParameterSpec& spec,
                          const at::Generator& generator, const GivenStart& given,
                          c10::Device device) {
  const std::string& path = planned.facts->description().module_path;
  at::Tensor tensor = new_tensor(spec.shape, adapter_dtype(spec, planned),
                                 {.stage = Stage::kInjection,
                                  .message = "the adapter's `" + spec.name + "` at `" + path + "`",
                                  .hint = "choose smaller adapters: a lower rank in [adapter]"});
  initialise_parameter(planned, spec, generator, given, tensor);
  return upload(tensor, device);
}

// Of numbers drawn at random PEFT starts none a second time.
at::Tensor tied_parameter(const PlannedLayer& planned, const ParameterSpec& spec,
                          const at::Generator& generator, const GivenStart& given,
                          at::Tensor tensor) {
  if (planned.keeps_tied_start) return tensor;
  at::Tensor drawn = tensor.is_cpu() ? tensor : at::empty(tensor.sizes(), tensor.scalar_type());
  initialise_parameter(planned, spec, generator, given, drawn);
  if (!tensor.is_cpu()) tensor.copy_(upload(drawn, tensor.device()));
  return tensor;
}

void check_shape(const PlannedLayer& planned, const std::string& name, const at::Tensor& wanted,
                 const at::Tensor& given) {
  if (wanted.sizes() == given.sizes()) return;
  throw_bug(call_of(planned, "initialise"), name + " is " + c10::str(wanted.sizes()) +
                                                ", initialise gave " + c10::str(given.sizes()));
}

// The rest of a weight would be rounded to the format's steps once more.
void require_plain(const PlannedLayer& planned, const std::string& name, const at::Tensor& weight) {
  if (!is_packed(weight)) return;
  throw Error({.stage = Stage::kInjection,
               .message = "`" + planned.facts->description().module_path +
                          "` cannot start as the config says: that takes a part out of its " +
                          name + ", which [model] quantize keeps in " +
                          std::string(name_of(packed_view(weight).weight->format())),
               .hint =
                   "choose a start that leaves the base as it is, or leave the layer out of the "
                   "quantisation: [model] quantize_exclude"});
}

// Handles for initialise, and where it puts what it gives.
LayerType::Started run_initialise(const PlannedLayer& planned, const tenon_setup& setup,
                                  const std::vector<at::Tensor>& weights,
                                  const at::Generator& generator, const AdapterInit& start) {
  const std::vector<tenon_tensor> weight_handles = handles_of(weights);
  const std::vector<tenon_tensor> parameter_handles = handles_of(start.parameters);
  tenon_generator source{generator};
  tenon_start facts{};
  facts.weights = weight_handles.data();
  facts.params = parameter_handles.data();
  facts.n_weights = static_cast<std::uint32_t>(weights.size());
  facts.n_params = static_cast<std::uint32_t>(start.parameters.size());
  facts.scaling = planned.scaling;
  facts.state = start.state.get();
  facts.generator = &source;
  return planned.layer_type->initialise(*planned.facts, setup, facts);
}

// `is_new`: by parameter, whether this layer is the one to start it.
void start_from_base(const PlannedLayer& planned, const tenon_setup& setup,
                     const std::vector<at::Tensor>& weights, const at::Generator& generator,
                     const std::vector<bool>& is_new, AdapterInit& start) {
  const at::NoGradGuard no_grad;
  const LayerType::Started started = run_initialise(planned, setup, weights, generator, start);
  for (std::size_t i = 0; i < started.parameters.size(); ++i) {
    if (!started.parameters[i].defined() || !is_new[i]) continue;
    check_shape(planned, planned.parameters[i].name, start.parameters[i], started.parameters[i]);
    start.parameters[i].copy_(started.parameters[i]);
  }
  for (std::size_t i = 0; i < started.weights.size(); ++i) {
    if (!started.weights[i].defined()) continue;
    const std::string& name = planned.facts->description().weights[i].name;
    check_shape(planned, name, weights[i], started.weights[i]);
    require_plain(planned, name, weights[i]);
    start.residuals.emplace_back(static_cast<std::uint32_t>(i),
                                 started.weights[i].detach().to(weights[i].options()));
  }
}

void take_given(const PlannedLayer& planned, const std::vector<at::Tensor>& weights,
                const GivenStart& given, AdapterInit& start) {
  const at::NoGradGuard no_grad;
  for (const auto& [number, weight] : given.residuals) {
    require_plain(planned, planned.facts->description().weights[number].name, weights[number]);
  }
  for (const auto& [name, tensor] : given.parameters) {
    const auto spec = std::ranges::find(planned.parameters, name, &ParameterSpec::file_name);
    const auto number = static_cast<std::size_t>(spec - planned.parameters.begin());
    if (spec == planned.parameters.end() || start.parameters[number].sizes() != tensor.sizes()) {
      throw Error({.stage = Stage::kInjection,
                   .message = planned.layer_type->id() + " on `" +
                              planned.facts->description().module_path + "` has no " + name +
                              " of shape " + c10::str(tensor.sizes()) + " to start from data",
                   .hint = "choose another start, or another plugin in [plugins.prefer]"});
    }
    start.parameters[number].copy_(tensor);
  }
  start.residuals.insert(start.residuals.end(), given.residuals.begin(), given.residuals.end());
}

}  // namespace

AdapterInit start_adapter(const PlannedLayer& planned, const std::vector<at::Tensor>& weights,
                          const at::Generator& generator, SharedTensors& shared,
                          const std::vector<at::Tensor>& tied, const GivenStart& given) {
  const c10::Device device = weights.empty() ? c10::kCPU : weights.front().device();
  AdapterInit start;
  std::vector<bool> is_new;
  for (std::size_t i = 0; i < planned.parameters.size(); ++i) {
    const ParameterSpec& spec = planned.parameters[i];
    if (i < tied.size() && tied[i].defined()) {
      is_new.push_back(true);
      start.parameters.push_back(tied_parameter(planned, spec, generator, given, tied[i]));
      continue;
    }
    const auto known = spec.is_shared() ? shared.find(spec.shared_key) : shared.end();
    is_new.push_back(known == shared.end());
    start.parameters.push_back(
        is_new.back() ? make_parameter(planned, spec, generator, given, device) : known->second);
    if (spec.is_shared()) shared.emplace(spec.shared_key, start.parameters.back());
  }
  const tenon_setup setup{*planned.options, planned.parameters, {}};
  start.state = planned.layer_type->prepare(planned.facts, setup);
  start_from_base(planned, setup, weights, generator, is_new, start);
  take_given(planned, weights, given, start);
  for (std::size_t i = 0; i < planned.parameters.size(); ++i) {
    if (planned.parameters[i].trainable()) start.parameters[i].requires_grad_(true);
  }
  return start;
}

}  // namespace tenon
