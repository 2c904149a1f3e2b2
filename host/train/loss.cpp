#include "train/loss.h"

#include <ATen/ops/argmax.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/ne.h>
#include <ATen/ops/nll_loss.h>
#include <ATen/ops/nll_loss_nd.h>
#include <c10/util/Exception.h>

#include "base/error.h"
#include "train/cross_entropy.h"
#include "train/input_fit.h"
#include "train/tensor_text.h"

namespace tenon {

namespace {

[[noreturn]] void fail_loss(const std::string& message, const std::string& hint = "") {
  throw Error{{.stage = Stage::kTraining, .message = message, .hint = hint, .location = ""}};
}

[[noreturn]] void fail_shapes(const std::string& loss, const at::Tensor& output,
                              const at::Tensor& target, const std::string& hint) {
  fail_loss("the loss " + loss + " cannot compare the first output, of shape " +
                shape_text(output.sizes()) + ", with the target, of shape " +
                shape_text(target.sizes()),
            hint);
}

const at::Tensor& first_output(const std::string& loss, const std::vector<at::Tensor>& outputs) {
  if (outputs.empty()) fail_loss("the loss " + loss + " needs an output; the model gives none");
  if (!outputs[0].is_floating_point()) {
    fail_loss("the first output is " + dtype_text(outputs[0].scalar_type()) + "; the loss " + loss +
              " needs floating-point numbers");
  }
  return outputs[0];
}

const at::Tensor& required_target(const std::string& loss,
                                  const std::optional<at::Tensor>& target) {
  if (!target) fail_loss("the loss " + loss + " needs a target", "name it with [data] target");
  return *target;
}

// Scores and targets of the same leading sizes, classes in dimension 1.
struct Classified {
  at::Tensor scores;
  at::Tensor target;
};

Classified arrange_classes(const std::string& loss, const at::Tensor& output,
                           const at::Tensor& target) {
  if (output.dim() == 2 && target.dim() == 1 && target.size(0) == output.size(0)) {
    return {output, target};
  }
  if (output.dim() == 3 && target.sizes() == output.sizes().slice(0, 2)) {
    return {output.flatten(0, 1), target.flatten()};
  }
  if (output.dim() >= 3 && target.dim() == output.dim() - 1 && target.size(0) == output.size(0) &&
      target.sizes().slice(1) == output.sizes().slice(2)) {
    return {output, target};
  }
  fail_shapes(loss, output, target,
              "class scores are (n, c) with a target of (n,), or (n, t, c) "
              "with (n, t)");
}

// Each position is judged by the token after it; the last has none. Padding the labels instead of
// cutting the scores keeps the scores contiguous, so that they need no copy.
Classified arrange_tokens(const std::string& loss, const at::Tensor& output,
                          const at::Tensor& target) {
  if (output.dim() != 3 || target.sizes() != output.sizes().slice(0, 2) || target.size(1) < 2) {
    fail_shapes(loss, output, target,
                "token scores are (n, t, vocabulary) with labels of (n, t), t at least 2");
  }
  const at::Tensor shifted = at::constant_pad_nd(target.slice(1, 1), {0, 1}, kIgnoredClass);
  return {output.flatten(0, 1), shifted.flatten()};
}

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

at::Tensor class_loss(const std::string& loss, const Classified& classified) {
  try {
    if (loss == "nll") {
      return at::nll_loss_nd(classified.scores, classified.target, {}, at::Reduction::Mean,
                             kIgnoredClass);
    }
    if (classified.scores.dim() == 2 && classified.target.scalar_type() == at::kLong) {
      return cross_entropy(classified.scores, classified.target);
    }
    return at::cross_entropy_loss(classified.scores, classified.target, {}, at::Reduction::Mean,
                                  kIgnoredClass);
  } catch (const c10::Error& error) {
    explain(loss, classified, error);
  }
}

Classified arrange(const std::string& loss, const at::Tensor& output, const at::Tensor& target) {
  return loss == "causal_lm" ? arrange_tokens(loss, output, target)
                             : arrange_classes(loss, output, target);
}

// The target in the output's shape, in a dtype that loses nothing of either.
at::Tensor arrange_numbers(const std::string& loss, const at::Tensor& output,
                           const at::Tensor& target) {
  const bool column =
      output.numel() == target.numel() && output.size(0) == target.size(0) &&
      ((output.dim() == 2 && target.dim() == 1) || (output.dim() == 1 && target.dim() == 2));
  if (output.sizes() != target.sizes() && !column) {
    fail_shapes(loss, output, target, "give the target the output's shape");
  }
  return target.reshape(output.sizes())
      .to(c10::promoteTypes(output.scalar_type(), target.scalar_type()));
}

}  // namespace

at::Tensor compute_loss(const std::string& loss, const std::vector<at::Tensor>& outputs,
                        const std::optional<at::Tensor>& target) {
  const at::Tensor& output = first_output(loss, outputs);
  if (loss == "output") {
    if (output.numel() == 1) return output.mean();
    fail_loss(
        "the loss output takes the model's first output as the loss, one number; its shape is " +
            shape_text(output.sizes()),
        "let the model's forward return the mean, or choose another [train] loss");
  }
  const at::Tensor& wanted = required_target(loss, target);
  if (loss == "mse") return at::mse_loss(output, arrange_numbers(loss, output, wanted));
  if (loss == "bce_with_logits") {
    return at::binary_cross_entropy_with_logits(output, arrange_numbers(loss, output, wanted));
  }
  return class_loss(loss, arrange(loss, output, wanted));
}

std::optional<std::int64_t> count_classes(const std::string& loss,
                                          const std::vector<at::Tensor>& outputs,
                                          const std::optional<at::Tensor>& target) {
  if (target_kind(loss) != TargetKind::kClasses && target_kind(loss) != TargetKind::kTokens) {
    return std::nullopt;
  }
  return arrange(loss, first_output(loss, outputs), required_target(loss, target)).scores.size(1);
}

std::optional<Predictions::Kind> predictions_kind(const std::string& loss) {
  if (loss == "output") return std::nullopt;
  if (loss == "bce_with_logits") return Predictions::Kind::kLabels;
  return target_kind(loss) == TargetKind::kNumbers ? Predictions::Kind::kNumbers
                                                   : Predictions::Kind::kClasses;
}

std::optional<Predictions> predictions_of(const std::string& loss,
                                          const std::vector<at::Tensor>& outputs,
                                          const std::optional<at::Tensor>& target) {
  const auto kind = predictions_kind(loss);
  if (!kind) return std::nullopt;
  const at::Tensor& output = first_output(loss, outputs);
  const at::Tensor& wanted = required_target(loss, target);
  if (*kind != Predictions::Kind::kClasses) {
    const std::int64_t rows = output.dim() == 0 ? 1 : output.size(0);
    const at::Tensor truth = arrange_numbers(loss, output, wanted).reshape({rows, -1});
    const bool is_label = *kind == Predictions::Kind::kLabels;
    return Predictions{*kind, output.reshape({rows, -1}), is_label ? truth > 0.5 : truth};
  }
  const Classified classified = arrange(loss, output, wanted);
  const at::Tensor scores =
      classified.scores.dim() == 2
          ? classified.scores
          : classified.scores.movedim(1, -1).reshape({-1, classified.scores.size(1)});
  const at::Tensor truth = classified.target.flatten();
  const at::Tensor judged = at::ne(truth, kIgnoredClass).nonzero().squeeze(1);
  return Predictions{*kind, scores.index_select(0, judged), truth.index_select(0, judged)};
}

std::int64_t count_judged(const std::string& loss, const std::optional<at::Tensor>& target,
                          std::int64_t rows) {
  const bool classifies = loss == "nll" || loss == "cross_entropy" || loss == "causal_lm";
  if (!classifies || !target) return rows;
  const at::Tensor judged =
      loss == "causal_lm" && target->dim() == 2 ? target->slice(1, 1) : *target;
  return at::ne(judged, kIgnoredClass).sum().item<std::int64_t>();
}

std::optional<Accuracy> count_correct(const std::string& loss,
                                      const std::vector<at::Tensor>& outputs,
                                      const std::optional<at::Tensor>& target) {
  if (loss == "output" || loss == "mse") return std::nullopt;
  const at::Tensor& output = first_output(loss, outputs);
  const at::Tensor& wanted = required_target(loss, target);
  if (loss == "bce_with_logits") {
    const at::Tensor truth = arrange_numbers(loss, output, wanted) > 0.5;
    return Accuracy{at::eq(output > 0, truth).sum().item<std::int64_t>(), truth.numel()};
  }
  const Classified classified = arrange(loss, output, wanted);
  const at::Tensor correct = at::eq(at::argmax(classified.scores, 1), classified.target);
  const at::Tensor judged = at::ne(classified.target, kIgnoredClass);
  return Accuracy{correct.sum().item<std::int64_t>(), judged.sum().item<std::int64_t>()};
}

}  // namespace tenon
