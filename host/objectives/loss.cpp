#include "objectives/loss.h"

#include <ATen/ops/argmax.h>
#include <ATen/ops/binary_cross_entropy.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/cosine_embedding_loss.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/huber_loss.h>
#include <ATen/ops/kl_div.h>
#include <ATen/ops/l1_loss.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/multi_margin_loss.h>
#include <ATen/ops/ne.h>
#include <ATen/ops/nll_loss_nd.h>
#include <ATen/ops/smooth_l1_loss.h>
#include <c10/util/Exception.h>

#include "base/error.h"
#include "objectives/arranged_target.h"
#include "objectives/cross_entropy.h"
#include "objectives/tensor_text.h"

namespace tenon {

namespace {

constexpr std::int64_t kMean = at::Reduction::Mean;
constexpr std::int64_t kNone = at::Reduction::None;

// LibTorch's message tells the class that is out of range, but not of how many.
[[noreturn]] void explain(const std::string& loss, const Classified& classified,
                          const c10::Error& error) {
  const at::Tensor judged =
      classified.target.masked_select(at::ne(classified.target, kIgnoredClass));
  const std::int64_t classes = classified.scores.size(1);
  if (judged.numel() > 0) {
    const std::int64_t smallest = judged.min().item<std::int64_t>();
    const std::int64_t largest = judged.max().item<std::int64_t>();
    if (smallest < 0 || largest >= classes) {
      fail_loss("the target holds class " + std::to_string(smallest < 0 ? smallest : largest) +
                    "; the model's first output has " + std::to_string(classes) +
                    " classes, counted from 0",
                "");
    }
  }
  fail_loss("the loss " + loss + ": " + error.what_without_backtrace());
}

// Weights as the operators take them: of the scores' type.
std::optional<at::Tensor> weights_like(const at::Tensor& weights, const at::Tensor& scores) {
  if (!weights.defined()) return std::nullopt;
  return weights.to(scores.options());
}

// Balanced weights know the classes that occur, of which the last may be missing.
at::Tensor class_weight_for(const LossSettings& loss, std::int64_t classes) {
  const at::Tensor& weight = loss.class_weight;
  if (!weight.defined() || weight.size(0) == classes) return weight;
  if (loss.is_balanced && weight.size(0) < classes) {
    return at::constant_pad_nd(weight, {0, classes - weight.size(0)});
  }
  fail_loss("[train] class_weight has " + std::to_string(loss.class_weight.size(0)) +
                " numbers; the model's output has " + std::to_string(classes) + " classes",
            "give one number for each class");
}

at::Tensor margin_loss(const Classified& classified, const std::optional<at::Tensor>& weight,
                       std::int64_t reduction) {
  const JudgedRows judged = judged_rows(classified, 0);
  return at::multi_margin_loss(judged.scores, judged.target, 1, 1, weight, reduction);
}

// Of classes or tokens; without reduction one number for each position, 0 where it is ignored.
at::Tensor class_loss(const LossSettings& loss, const Classified& classified,
                      std::int64_t reduction) {
  const auto weight =
      weights_like(class_weight_for(loss, classified.scores.size(1)), classified.scores);
  try {
    if (loss.name == "multi_margin") return margin_loss(classified, weight, reduction);
    if (loss.name == "nll") {
      return at::nll_loss_nd(classified.scores, classified.target, weight, reduction,
                             kIgnoredClass);
    }
    const bool is_plain = !weight && loss.label_smoothing == 0 && reduction == kMean;
    if (is_plain && classified.scores.dim() == 2 && classified.target.scalar_type() == at::kLong) {
      return cross_entropy(classified.scores, classified.target);
    }
    return at::cross_entropy_loss(classified.scores, classified.target, weight, reduction,
                                  kIgnoredClass, loss.label_smoothing);
  } catch (const c10::Error& error) {
    explain(loss.name, classified, error);
  }
}

at::Tensor number_loss(const LossSettings& loss, const std::vector<at::Tensor>& outputs,
                       const at::Tensor& wanted, std::int64_t reduction) {
  const at::Tensor& output = output_of(loss.name, loss.output, outputs);
  if (loss.name == "cosine_embedding") {
    const at::Tensor& other = output_of(loss.name, loss.output + 1, outputs);
    return at::cosine_embedding_loss(output, other, wanted.reshape({output.size(0)}), 0, reduction);
  }
  const at::Tensor target = arrange_numbers(loss.name, output, wanted);
  if (loss.name == "mse") return at::mse_loss(output, target, reduction);
  if (loss.name == "bce_with_logits") {
    return at::binary_cross_entropy_with_logits(output, target, {},
                                                weights_like(loss.pos_weight, target), reduction);
  }
  const at::Tensor said = output.to(target.scalar_type());
  if (loss.name == "l1") return at::l1_loss(said, target, reduction);
  if (loss.name == "smooth_l1") return at::smooth_l1_loss(said, target, reduction);
  if (loss.name == "huber") return at::huber_loss(said, target, reduction);
  if (loss.name == "kl_div") return at::kl_div(said, target, reduction);
  return at::binary_cross_entropy(said, target, {}, reduction);
}

at::Tensor number_loss_or_error(const LossSettings& loss, const std::vector<at::Tensor>& outputs,
                                const at::Tensor& wanted, std::int64_t reduction) {
  try {
    return number_loss(loss, outputs, wanted, reduction);
  } catch (const c10::Error& error) {
    fail_loss("the loss " + loss.name + ": " + error.what_without_backtrace());
  }
}

// A plugin's, of what it judges in the form that it asked for.
at::Tensor plugin_loss(const LossSettings& loss, const std::vector<at::Tensor>& outputs,
                       const std::optional<at::Tensor>& target, const at::Tensor& weights) {
  const at::Tensor& output = output_of(loss.name, loss.output, outputs);
  LossBatch batch{outputs, output, {}, weights};
  if (loss.target == TargetKind::kAny && target) batch.target = *target;
  if (loss.target == TargetKind::kNumbers) {
    const at::Tensor wanted =
        arrange_numbers(loss.name, output, required_target(loss.name, target));
    batch.prediction = output.to(wanted.scalar_type());
    batch.target = wanted;
  }
  if (loss.target == TargetKind::kClasses) {
    const Classified classified =
        arrange_classes(loss.name, output, required_target(loss.name, target));
    const std::int64_t rows = output.dim() == 0 ? 1 : output.size(0);
    const JudgedRows judged = judged_rows(classified, rows);
    batch.prediction = judged.scores;
    batch.target = judged.target;
    if (weights.defined()) batch.weights = weights.index_select(0, judged.rows);
  }
  return loss.plugin->loss->compute(batch, loss.plugin->options);
}

// The mean of each row's losses, as the rows weigh.
at::Tensor weighted_loss(const LossSettings& loss, const std::vector<at::Tensor>& outputs,
                         const at::Tensor& wanted, const at::Tensor& weights) {
  const std::int64_t rows = weights.size(0);
  if (!loss.judges_classes()) {
    const at::Tensor each = number_loss_or_error(loss, outputs, wanted, kNone).reshape({rows, -1});
    return (each.mean(1) * weights.to(each.options())).sum() / weights.sum().to(each.options());
  }
  const Classified classified =
      arrange_classes(loss.name, output_of(loss.name, loss.output, outputs), wanted);
  const JudgedRows judged = judged_rows(classified, rows);
  const at::Tensor each = class_loss(loss, {judged.scores, judged.target}, kNone);
  const at::Tensor own = weights.index_select(0, judged.rows).to(each.options());
  at::Tensor count = own;
  if (loss.class_weight.defined() && loss.name != "multi_margin") {
    count = own * loss.class_weight.to(each.options()).index_select(0, judged.target);
  }
  return (each * own).sum() / count.sum();
}

}  // namespace

at::Tensor compute_loss(const LossSettings& loss, const std::vector<at::Tensor>& outputs,
                        const std::optional<at::Tensor>& target, const at::Tensor& weights) {
  if (loss.plugin) return plugin_loss(loss, outputs, target, weights);
  const at::Tensor& output = output_of(loss.name, loss.output, outputs);
  if (loss.name == "output") {
    if (output.numel() == 1) return output.mean();
    fail_loss(
        "the loss output takes the model's first output as the loss, one number; its shape is " +
            shape_text(output.sizes()),
        "let the model's forward return the mean, or choose another [train] loss");
  }
  const at::Tensor& wanted = required_target(loss.name, target);
  if (weights.defined()) return weighted_loss(loss, outputs, wanted, weights);
  if (!loss.judges_classes()) return number_loss_or_error(loss, outputs, wanted, kMean);
  return class_loss(loss, arrange_classes(loss.name, output, wanted), kMean);
}

std::optional<std::int64_t> count_classes(const LossSettings& loss,
                                          const std::vector<at::Tensor>& outputs,
                                          const std::optional<at::Tensor>& target) {
  if (!loss.judges_classes()) return std::nullopt;
  return arrange_classes(loss.name, output_of(loss.name, loss.output, outputs),
                         required_target(loss.name, target))
      .scores.size(1);
}

std::optional<Predictions::Kind> predictions_kind(const LossKind& loss) {
  if (loss.name == "cosine_embedding") return std::nullopt;
  if (loss.name == "bce_with_logits" || loss.name == "bce") return Predictions::Kind::kLabels;
  if (loss.judges_classes()) return Predictions::Kind::kClasses;
  if (loss.target == TargetKind::kNumbers) return Predictions::Kind::kNumbers;
  return std::nullopt;
}

std::optional<Predictions> predictions_of(const LossSettings& loss,
                                          const std::vector<at::Tensor>& outputs,
                                          const std::optional<at::Tensor>& target) {
  const auto kind = predictions_kind(loss);
  if (!kind) return std::nullopt;
  const at::Tensor& output = output_of(loss.name, loss.output, outputs);
  const at::Tensor& wanted = required_target(loss.name, target);
  const std::int64_t rows = output.dim() == 0 ? 1 : output.size(0);
  if (*kind == Predictions::Kind::kClasses) {
    const JudgedRows judged = judged_rows(arrange_classes(loss.name, output, wanted), rows);
    return Predictions{*kind, judged.scores, judged.target};
  }
  const at::Tensor truth = arrange_numbers(loss.name, output, wanted).reshape({rows, -1});
  if (*kind == Predictions::Kind::kNumbers) {
    return Predictions{*kind, output.reshape({rows, -1}), truth};
  }
  const at::Tensor said = output.reshape({rows, -1});
  return Predictions{*kind, loss.name == "bce" ? said.to(at::kDouble).logit() : said, truth > 0.5};
}

double count_judged(const LossSettings& loss, const std::optional<at::Tensor>& target,
                    std::int64_t rows, const at::Tensor& weights) {
  if (!loss.judges_classes() || !target) {
    return weights.defined() ? weights.sum().item<double>() : static_cast<double>(rows);
  }
  const bool shifts = loss.name == "causal_lm" && target->dim() == 2;
  const at::Tensor classes = shifts ? target->slice(1, 1) : *target;
  const at::Tensor judged = at::ne(classes, kIgnoredClass);
  const bool weighs = loss.class_weight.defined() && loss.name != "multi_margin";
  if (!weighs && !weights.defined()) {
    return static_cast<double>(judged.sum().item<std::int64_t>());
  }
  at::Tensor each = judged.to(at::kDouble);
  if (weighs) {
    // A class that the weights do not have is told by the loss.
    const at::Tensor known = classes.clamp(0, loss.class_weight.size(0) - 1);
    each = each * loss.class_weight.index_select(0, known.flatten()).reshape(known.sizes());
  }
  if (weights.defined()) {
    each = each.reshape({rows, -1}) * weights.to(at::kDouble).unsqueeze(1);
  }
  return each.sum().item<double>();
}

std::optional<Accuracy> count_correct(const LossSettings& loss,
                                      const std::vector<at::Tensor>& outputs,
                                      const std::optional<at::Tensor>& target) {
  const bool is_binary = loss.name == "bce_with_logits" || loss.name == "bce";
  if (!is_binary && !loss.judges_classes()) return std::nullopt;
  const at::Tensor& output = output_of(loss.name, loss.output, outputs);
  const at::Tensor& wanted = required_target(loss.name, target);
  if (is_binary) {
    const at::Tensor truth = arrange_numbers(loss.name, output, wanted) > 0.5;
    const at::Tensor said = output > (loss.name == "bce" ? 0.5 : 0.0);
    return Accuracy{at::eq(said, truth).sum().item<std::int64_t>(), truth.numel()};
  }
  const Classified classified = arrange_classes(loss.name, output, wanted);
  const at::Tensor correct = at::eq(at::argmax(classified.scores, 1), classified.target);
  const at::Tensor judged = at::ne(classified.target, kIgnoredClass);
  return Accuracy{correct.sum().item<std::int64_t>(), judged.sum().item<std::int64_t>()};
}

void balance_classes(LossTerm& config, const at::Tensor& target) {
  if (!config.balanced_classes || !config.class_weight.empty()) return;
  const at::Tensor judged = target.masked_select(target >= 0);
  const at::Tensor counts = at::bincount(judged).to(at::kDouble);
  const double present = (counts > 0).sum().item<double>();
  const auto rows = static_cast<double>(judged.numel());
  for (std::int64_t label = 0; label < counts.size(0); ++label) {
    const double count = counts[label].item<double>();
    config.class_weight.push_back(count > 0 ? rows / (present * count) : 0);
  }
}

}  // namespace tenon
