#include "graph/contexts.h"

#include <ATen/autocast_mode.h>

#include <algorithm>

namespace tenon {
namespace {

const Context& at(const Graph& graph, ContextId context) {
  return graph.contexts[static_cast<std::size_t>(context)];
}

}  // namespace

ContextId common_context(const Graph& graph, ContextId one, ContextId other) {
  // A context stands behind the one that it is in.
  while (one != other) {
    ContextId& inner = one > other ? one : other;
    inner = at(graph, inner).outer;
  }
  return one;
}

bool has_gradients(const Graph& graph, ContextId context) {
  for (; context != 0; context = at(graph, context).outer) {
    const auto* gradients = std::get_if<GradientSetting>(&at(graph, context).setting);
    if (gradients != nullptr) return gradients->enabled;
  }
  return true;
}

ContextId context_without_gradients(Graph& graph) {
  for (std::size_t i = 1; i < graph.contexts.size(); ++i) {
    const auto* gradients = std::get_if<GradientSetting>(&graph.contexts[i].setting);
    if (gradients != nullptr && !gradients->enabled && graph.contexts[i].outer == 0) {
      return static_cast<ContextId>(i);
    }
  }
  graph.contexts.push_back({0, GradientSetting{false}});
  return static_cast<ContextId>(graph.contexts.size() - 1);
}

ContextSettings settings_of(const Graph& graph, ContextId context) {
  ContextSettings settings;
  for (; context != 0; context = at(graph, context).outer) {
    settings.push_back(at(graph, context).setting);
  }
  std::reverse(settings.begin(), settings.end());
  return settings;
}

ContextSwitch::ContextSwitch()
    : gradients_(at::GradMode::is_enabled()),
      autocast_cache_(at::autocast::is_autocast_cache_enabled()) {}

ContextSwitch::~ContextSwitch() { restore(); }

void ContextSwitch::enter(const ContextSettings& settings) {
  restore();
  for (const auto& setting : settings) {
    std::visit([&](const auto& one) { apply(one); }, setting);
  }
}

void ContextSwitch::restore() {
  at::GradMode::set_enabled(gradients_);
  for (auto state = changed_.rbegin(); state != changed_.rend(); ++state) {
    at::autocast::set_autocast_enabled(state->device, state->enabled);
    at::autocast::set_autocast_dtype(state->device, state->dtype);
  }
  changed_.clear();
  if (!nested_) return;
  at::autocast::set_autocast_cache_enabled(autocast_cache_);
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  nested_ = false;
}

// A forward that records nothing (predict) stays so, whatever the exported code asks for.
void ContextSwitch::apply(const GradientSetting& setting) {
  at::GradMode::set_enabled(setting.enabled && gradients_);
}

void ContextSwitch::apply(const AutocastSetting& setting) {
  const at::ScalarType found = at::autocast::get_autocast_dtype(setting.device);
  changed_.push_back({setting.device, at::autocast::is_autocast_enabled(setting.device), found});
  at::autocast::set_autocast_enabled(setting.device, setting.enabled);
  at::autocast::set_autocast_dtype(setting.device, setting.dtype.value_or(found));
  at::autocast::set_autocast_cache_enabled(setting.cache);
  if (!nested_) at::autocast::increment_nesting();
  nested_ = true;
}

}  // namespace tenon
