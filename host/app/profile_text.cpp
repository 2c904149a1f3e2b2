#include "app/profile_text.h"

#include <cstdio>

namespace tenon {
namespace {

std::string row(const std::string& what, double ms, const StepProfile& profile) {
  char numbers[64];
  const double share = profile.step_ms > 0 ? 100 * ms / profile.step_ms : 0;
  std::snprintf(numbers, sizeof numbers, "%10.3f ms %5.1f %%", ms, share);
  std::string text = "  " + what;
  constexpr std::size_t kWidth = 54;
  if (text.size() < kWidth) text.resize(kWidth, ' ');
  return text + numbers + "\n";
}

}  // namespace

std::string profile_text(const StepProfile& profile) {
  std::string text = "a step, mean of " + std::to_string(profile.steps) + "\n";
  text += row("data", profile.data_ms, profile);
  text += row("base, forward", profile.base_forward_ms, profile);
  text += row("base, backward", profile.base_backward_ms, profile);
  for (const StepProfile::LayerType& layer : profile.layers) {
    const std::string title = layer.title + " x" + std::to_string(layer.calls);
    text += row(title + ", forward", layer.forward_ms, profile);
    text += row(title + ", backward", layer.backward_ms, profile);
  }
  text += row("loss", profile.loss_ms, profile);
  text += row("optimizer", profile.optimizer_ms, profile);
  text += row("other", profile.other_ms, profile);
  text += row("all", profile.step_ms, profile);
  text.pop_back();
  return text;
}

nlohmann::ordered_json profile_json(const StepProfile& profile) {
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (const StepProfile::LayerType& layer : profile.layers) {
    layers.push_back({{"type", layer.title},
                      {"calls", layer.calls},
                      {"forward_ms", layer.forward_ms},
                      {"backward_ms", layer.backward_ms}});
  }
  return {{"steps", profile.steps},
          {"step_ms", profile.step_ms},
          {"data_ms", profile.data_ms},
          {"base_forward_ms", profile.base_forward_ms},
          {"base_backward_ms", profile.base_backward_ms},
          {"layers", layers},
          {"loss_ms", profile.loss_ms},
          {"optimizer_ms", profile.optimizer_ms},
          {"other_ms", profile.other_ms}};
}

}  // namespace tenon
