#include "adapted/output_contract.h"

#include <ATen/autocast_mode.h>

#include <algorithm>
#include <iterator>
#include <mutex>
#include <sstream>

namespace tenon {
namespace {

// Of inputs whose sizes change with every call, the last ones say enough.
constexpr std::size_t kMostKnown = 32;

// Under which autocast the base's types hold; -1: none.
int autocast_now(OutputContract::Values inputs) {
  c10::DeviceType device = at::kCPU;
  for (const c10::IValue& input : inputs) {
    if (input.isTensor() && input.toTensor().defined()) device = input.toTensor().device().type();
  }
  if (!at::autocast::is_autocast_enabled(device)) return -1;
  return static_cast<int>(at::autocast::get_autocast_dtype(device));
}

std::string facts_text(at::ScalarType dtype, at::IntArrayRef sizes) {
  std::ostringstream text;
  text << dtype << " " << sizes;
  return text.str();
}

}  // namespace

bool OutputContract::Facts::fit(const at::Tensor& tensor) const {
  return tensor.scalar_type() == dtype && tensor.sizes() == at::IntArrayRef(sizes);
}

OutputContract::Facts OutputContract::facts_of(const c10::IValue& value) {
  if (value.isInt()) return {at::kLong, {value.toInt()}, false};
  if (!value.isTensor() || !value.toTensor().defined()) return {};
  const at::Tensor& tensor = value.toTensor();
  return {tensor.scalar_type(), tensor.sizes().vec(), true};
}

// The caller holds the mutex.
const OutputContract::Known* OutputContract::find(Values inputs) const {
  const int autocast = autocast_now(inputs);
  const auto is_of = [](const c10::IValue& value, const Facts& facts) {
    if (value.isInt()) {
      return !facts.is_tensor && facts.sizes.size() == 1 && facts.sizes[0] == value.toInt();
    }
    const bool is_tensor = value.isTensor() && value.toTensor().defined();
    return is_tensor == facts.is_tensor && (!is_tensor || facts.fit(value.toTensor()));
  };
  const auto found = std::ranges::find_if(known_, [&](const Known& known) {
    return known.autocast == autocast && std::ranges::equal(inputs, known.inputs, is_of);
  });
  return found == known_.end() ? nullptr : &*found;
}

void OutputContract::learn(Values inputs, Values outputs) {
  {
    const std::shared_lock lock(mutex_);
    if (find(inputs) != nullptr) return;
  }
  const std::unique_lock lock(mutex_);
  if (find(inputs) != nullptr) return;
  if (known_.size() >= kMostKnown) known_.erase(known_.begin());
  Known& known = known_.emplace_back();
  known.autocast = autocast_now(inputs);
  std::ranges::transform(inputs, std::back_inserter(known.inputs), facts_of);
  std::ranges::transform(outputs, std::back_inserter(known.outputs), facts_of);
}

std::string OutputContract::compare(const Known& known, std::span<const at::Tensor> outputs,
                                    bool resizes) {
  for (std::size_t i = 0; i < outputs.size() && i < known.outputs.size(); ++i) {
    const Facts& base = known.outputs[i];
    const at::Tensor& output = outputs[i];
    if (!base.is_tensor || base.fit(output)) continue;
    const bool is_resized = resizes && output.scalar_type() == base.dtype &&
                            output.dim() == static_cast<std::int64_t>(base.sizes.size());
    if (is_resized) continue;
    return "output " + std::to_string(i) + " is " +
           facts_text(output.scalar_type(), output.sizes()) + ", the base gives " +
           facts_text(base.dtype, base.sizes);
  }
  return "";
}

std::string OutputContract::find_fault(Values inputs, std::span<const at::Tensor> outputs,
                                       bool resizes,
                                       const std::function<std::vector<c10::IValue>()>& run_base) {
  {
    const std::shared_lock lock(mutex_);
    if (const Known* known = find(inputs)) return compare(*known, outputs, resizes);
  }
  learn(inputs, run_base());
  const std::shared_lock lock(mutex_);
  const Known* known = find(inputs);
  return known == nullptr ? "" : compare(*known, outputs, resizes);
}

}  // namespace tenon
