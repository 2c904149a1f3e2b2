#include "train/profiler.h"

#include <ATen/SequenceNumber.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <chrono>

#include "interpreter/named_scope.h"

namespace tenon {
namespace {

using Clock = std::chrono::steady_clock;

// One scope or gradient node that runs.
struct Span : at::ObserverContext {
  Clock::time_point start = Clock::now();
  std::uint64_t sequence = at::sequence_number::peek();

  double ms() const {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  }
};

}  // namespace

// LibTorch's callbacks carry no data of their own, so the watch on this thread is here.
struct Profiler::Watch {
  static thread_local Watch* current;

  struct Totals {
    std::int64_t calls = 0;
    double forward_ms = 0;
    double backward_ms = 0;
  };

  // The gradient nodes that a layer's forward made: [first, last).
  struct MadeNodes {
    std::uint64_t last = 0;
    Totals* layer = nullptr;
  };

  std::map<std::string, std::string> layer_types;
  std::map<std::string, double> parts;   // ms by scope
  std::map<std::string, Totals> layers;  // by title
  double base_backward_ms = 0;
  std::int64_t steps = 0;
  bool in_step = false;
  bool in_backward = false;
  std::map<std::uint64_t, MadeNodes> made;  // in this step, by the first node
  int depth = 0;                            // of gradient nodes that run others
  Watch* outer = nullptr;
  at::CallbackHandle handle{};

  void start(const at::RecordFunction& function) {
    if (function.scope() == at::RecordScope::BACKWARD_FUNCTION) ++depth;
    if (function.name() == kBackwardScope) in_backward = true;
    if (function.name() != kStepScope) return;
    in_step = true;
    made.clear();
  }

  void end(const at::RecordFunction& function, const Span& span) {
    if (function.scope() == at::RecordScope::BACKWARD_FUNCTION) {
      if (--depth == 0 && in_step) add_gradient(function.seqNr(), span.ms());
      return;
    }
    const std::string name = function.name();
    if (name == kStepScope) {
      in_step = false;
      ++steps;
    }
    if (name == kBackwardScope) in_backward = false;
    if (name.starts_with(kLayerScope)) {
      if (in_step && !in_backward) add_layer(name.substr(kLayerScope.size()), span);
    } else if (in_step || name == kStepScope) {
      parts[name] += span.ms();
    }
  }

  void add_layer(const std::string& path, const Span& span) {
    const auto type = layer_types.find(path);
    Totals& layer = layers[type == layer_types.end() ? path : type->second];
    ++layer.calls;
    layer.forward_ms += span.ms();
    made[span.sequence] = {at::sequence_number::peek(), &layer};
  }

  void add_gradient(std::int64_t node, double ms) {
    const auto sequence = static_cast<std::uint64_t>(node);
    const auto behind = made.upper_bound(sequence);
    if (node >= 0 && behind != made.begin() && sequence < std::prev(behind)->second.last) {
      std::prev(behind)->second.layer->backward_ms += ms;
    } else {
      base_backward_ms += ms;
    }
  }
};

thread_local Profiler::Watch* Profiler::Watch::current = nullptr;

Profiler::Profiler(std::map<std::string, std::string> layer_types)
    : watch_(std::make_unique<Watch>()) {
  watch_->layer_types = std::move(layer_types);
  watch_->outer = Watch::current;
  Watch::current = watch_.get();
  const auto start = [](const at::RecordFunction& function) {
    Watch::current->start(function);
    return std::unique_ptr<at::ObserverContext>(std::make_unique<Span>());
  };
  const auto end = [](const at::RecordFunction& function, at::ObserverContext* context) {
    Watch::current->end(function, static_cast<const Span&>(*context));
  };
  watch_->handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback(start, end)
          .scopes({at::RecordScope::USER_SCOPE, at::RecordScope::BACKWARD_FUNCTION}));
}

Profiler::~Profiler() {
  at::removeCallback(watch_->handle);
  Watch::current = watch_->outer;
}

StepProfile Profiler::profile() const {
  StepProfile profile;
  profile.steps = watch_->steps;
  const double steps = static_cast<double>(std::max<std::int64_t>(1, watch_->steps));
  const auto part = [&](std::string_view name) {
    const auto found = watch_->parts.find(std::string(name));
    return found == watch_->parts.end() ? 0 : found->second / steps;
  };
  profile.step_ms = part(kStepScope);
  profile.data_ms = part(kDataScope);
  profile.loss_ms = part(kLossScope);
  profile.optimizer_ms = part(kOptimizerScope);
  profile.base_forward_ms = part(kForwardScope);
  profile.base_backward_ms = watch_->base_backward_ms / steps;
  double accounted = profile.data_ms + profile.loss_ms + profile.optimizer_ms +
                     profile.base_forward_ms + profile.base_backward_ms;
  for (const auto& [title, totals] : watch_->layers) {
    profile.layers.push_back({title, totals.calls / std::max<std::int64_t>(1, watch_->steps),
                              totals.forward_ms / steps, totals.backward_ms / steps});
    profile.base_forward_ms -= profile.layers.back().forward_ms;
    accounted += profile.layers.back().backward_ms;
  }
  std::stable_sort(profile.layers.begin(), profile.layers.end(), [](const auto& a, const auto& b) {
    return a.forward_ms + a.backward_ms > b.forward_ms + b.backward_ms;
  });
  profile.other_ms = profile.step_ms - accounted;
  return profile;
}

}  // namespace tenon
