#include "check/forced_errors.h"

#include <ATen/ATen.h>

#include <functional>

#include "base/error.h"
#include "check/host_probe.h"
#include "check/tensors_differ.h"

namespace tenon {
namespace {

using Tensors = std::vector<at::Tensor>;

// No function of a layer calls the host this often.
constexpr std::uint64_t kMostCalls = 10000;

// `attempt` does the thing and returns what is wrong with its result ("" if nothing).
std::string force_each(const char* what, const std::function<std::string()>& attempt) {
  HostProbe& probe = HostProbe::instance();
  for (std::uint64_t k = 1; k <= kMostCalls; ++k) {
    probe.force_failure(k);
    std::string fault;
    try {
      fault = attempt();
    } catch (const Error&) {
      // as it should
    }
    const std::string failed = probe.forced_failure();
    probe.force_failure(0);
    if (failed.empty()) return "";  // it made fewer calls
    if (!fault.empty()) {
      return std::string(what) + " succeeded although " + failed + " failed: " + fault;
    }
  }
  return "";
}

std::string force_in_forward(const char* what, const AdaptedModel& model, const Tensors& inputs) {
  const Tensors expected = model.forward(inputs, {});
  return force_each(what,
                    [&] { return tensors_differ(expected, model.forward(inputs, {}), 1e-5); });
}

}  // namespace

std::string find_swallowed_errors(const TrialLayer& layer) {
  // Before anything else, so that what the layer resolves once is made to fail too.
  std::string fault = force_each("adding an adapter", [&]() -> std::string {
    layer.adapt(layer.base());
    return "";
  });
  if (!fault.empty()) return fault;
  const auto expected = layer.plan(layer.base()).layers[0].parameters;
  fault = force_each("adding an adapter", [&]() -> std::string {
    return layer.plan(layer.base()).layers[0].parameters == expected ? "" : "other parameters";
  });
  if (!fault.empty()) return fault;
  const auto model = layer.adapt(layer.base());
  draw_parameters(*model);
  // Errors in operators that are resolved at the first call only.
  fault = force_each("forward", [&]() -> std::string {
    model->forward(layer.base().inputs, {});
    return "";
  });
  if (!fault.empty()) return fault;
  fault = force_in_forward("forward", *model, layer.base().inputs);
  if (!fault.empty() || !layer.can_merge()) return fault;
  const auto merged = layer.adapt_merged(layer.base());
  draw_parameters(*merged);
  return force_in_forward("merged_weight", *merged, layer.base().inputs);
}

}  // namespace tenon
