#include "objectives/arranged_target.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/ne.h>

#include "base/error.h"
#include "objectives/cross_entropy.h"
#include "objectives/tensor_text.h"

namespace tenon {

namespace {

[[noreturn]] void fail_shapes(const std::string& loss, const at::Tensor& output,
                              const at::Tensor& target, const std::string& hint) {
  fail_loss("the loss " + loss + " cannot compare the first output, of shape " +
                shape_text(output.sizes()) + ", with the target, of shape " +
                shape_text(target.sizes()),
            hint);
}

Classified arrange_plain_classes(const std::string& loss, const at::Tensor& output,
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

}  // namespace

void fail_loss(const std::string& message, const std::string& hint) {
  throw Error{{.stage = Stage::kTraining, .message = message, .hint = hint, .location = ""}};
}

const at::Tensor& output_of(const std::string& loss, std::size_t number,
                            const std::vector<at::Tensor>& outputs) {
  if (outputs.empty()) fail_loss("the loss " + loss + " needs an output; the model gives none");
  if (number >= outputs.size()) {
    fail_loss("the loss " + loss + " is to see output_" + std::to_string(number) +
                  "; the model gives " + std::to_string(outputs.size()),
              "outputs are counted from 0: see [train] output");
  }
  const at::Tensor& output = outputs[number];
  if (output.is_floating_point()) return output;
  fail_loss((number == 0 ? std::string("the first output") : "output_" + std::to_string(number)) +
            " is " + dtype_text(output.scalar_type()) + "; the loss " + loss +
            " needs floating-point numbers");
}

const at::Tensor& required_target(const std::string& loss,
                                  const std::optional<at::Tensor>& target) {
  if (!target) fail_loss("the loss " + loss + " needs a target", "name it with [data] target");
  return *target;
}

Classified arrange_classes(const std::string& loss, const at::Tensor& output,
                           const at::Tensor& target) {
  return loss == "causal_lm" ? arrange_tokens(loss, output, target)
                             : arrange_plain_classes(loss, output, target);
}

JudgedRows judged_rows(const Classified& classified, std::int64_t batch_rows) {
  const at::Tensor scores =
      classified.scores.dim() == 2
          ? classified.scores
          : classified.scores.movedim(1, -1).reshape({-1, classified.scores.size(1)});
  const at::Tensor target = classified.target.flatten();
  const at::Tensor judged = at::ne(target, kIgnoredClass).nonzero().squeeze(1);
  const std::int64_t of_a_row = batch_rows > 0 ? target.size(0) / batch_rows : 1;
  return {scores.index_select(0, judged), target.index_select(0, judged),
          judged.div(of_a_row, "floor")};
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

}  // namespace tenon
