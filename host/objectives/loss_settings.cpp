#include "objectives/loss_settings.h"

#include <ATen/ops/tensor.h>

#include <string_view>
#include <utility>

#include "base/error.h"

namespace tenon {
namespace {

// "output_1" of [train] output.
std::size_t output_number(const LossTerm& config) {
  constexpr std::string_view kPrefix = "output_";
  if (!config.output) return 0;
  const std::string digits =
      config.output->starts_with(kPrefix) ? config.output->substr(kPrefix.size()) : "";
  if (!digits.empty() && digits.size() < 6 &&
      digits.find_first_not_of("0123456789") == std::string::npos) {
    return std::stoul(digits);
  }
  throw Error{{.stage = Stage::kConfig,
               .message = "[train] output is `" + *config.output +
                          "`, which is no output: they are output_0, output_1, ...",
               .hint = "`tenon predict` writes them by these names"}};
}

}  // namespace

LossSettings::LossSettings(const LossTerm& config, std::shared_ptr<const BoundLoss> bound)
    : LossKind(config),
      output(output_number(config)),
      label_smoothing(config.label_smoothing_factor),
      is_balanced(config.balanced_classes),
      weight(config.weight),
      plugin(std::move(bound)) {
  if (!config.class_weight.empty()) {
    class_weight = at::tensor(config.class_weight, at::TensorOptions(at::kDouble));
  }
  if (!config.pos_weight.empty()) {
    pos_weight = at::tensor(config.pos_weight, at::TensorOptions(at::kDouble));
  }
}

std::vector<LossSettings> loss_settings(const TrainConfig& config, const Objectives& objectives) {
  std::vector<LossSettings> settings;
  settings.emplace_back(config, objectives.loss(0));
  for (const LossTerm& term : config.other_losses) {
    settings.emplace_back(term, objectives.loss(settings.size()));
  }
  return settings;
}

std::vector<LossSettings> losses_on(c10::Device device, std::vector<LossSettings> losses) {
  for (LossSettings& loss : losses) {
    if (loss.class_weight.defined()) loss.class_weight = loss.class_weight.to(device);
    if (loss.pos_weight.defined()) loss.pos_weight = loss.pos_weight.to(device);
  }
  return losses;
}

}  // namespace tenon
