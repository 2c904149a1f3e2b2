#pragma once

#include <ATen/record_function.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tenon {

// A span of the calling thread's time under a name, for whoever watches it: train/profiler, and
// PyTorch's own profilers. Costs some nanoseconds where nobody does.
class NamedScope {
 public:
  explicit NamedScope(std::string_view name) {
    auto callbacks = at::getStepCallbacksUnlessEmpty(at::RecordScope::USER_SCOPE);
    if (callbacks) record_.emplace(std::move(*callbacks)).before(std::string(name));
  }

 private:
  std::optional<at::RecordFunction> record_;
};

// A layer's scope is named by this and its path; of layers that run in one call, by the first's.
constexpr std::string_view kLayerScope = "tenon.layer ";

// The parts of a training step.
constexpr std::string_view kStepScope = "tenon.step";
constexpr std::string_view kDataScope = "tenon.data";
constexpr std::string_view kForwardScope = "tenon.forward";
constexpr std::string_view kLossScope = "tenon.loss";
constexpr std::string_view kBackwardScope = "tenon.backward";
constexpr std::string_view kOptimizerScope = "tenon.optimizer";

}  // namespace tenon
