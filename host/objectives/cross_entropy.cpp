#include "objectives/cross_entropy.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace tenon {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Small enough for a processor's cache; of a GPU, which is launched for each, for its memory.
constexpr std::int64_t kBlockElements = std::int64_t{1} << 19;
constexpr std::int64_t kDeviceBlockElements = std::int64_t{1} << 26;

// Calls body(first row, rows) for every block.
template <typename Body>
void for_each_block(const at::Tensor& scores, const Body& body) {
  const std::int64_t rows = scores.size(0);
  const std::int64_t step = std::max<std::int64_t>(
      1, (scores.is_cpu() ? kBlockElements : kDeviceBlockElements) / scores.size(1));
  for (std::int64_t first = 0; first < rows; first += step) {
    body(first, std::min(step, rows - first));
  }
}

at::ScalarType sum_type(const at::Tensor& scores) {
  return scores.element_size() < 4 ? at::kFloat : scores.scalar_type();
}

struct CrossEntropyFunction : torch::autograd::Function<CrossEntropyFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& scores,
                            const at::Tensor& target) {
    const at::Tensor judged = at::ne(target, kIgnoredClass);
    // A column of classes; that of an ignored row does not matter.
    const at::Tensor classes = target.masked_fill(at::logical_not(judged), 0).unsqueeze(1);
    const at::ScalarType type = sum_type(scores);
    at::Tensor log_sums = at::empty({scores.size(0), 1}, scores.options().dtype(type));
    at::Tensor picked = at::empty_like(log_sums);
    for_each_block(scores, [&](std::int64_t first, std::int64_t rows) {
      const at::Tensor block = scores.narrow(0, first, rows).to(type);
      log_sums.narrow(0, first, rows).copy_(at::logsumexp(block, 1, /*keepdim=*/true));
      picked.narrow(0, first, rows).copy_(block.gather(1, classes.narrow(0, first, rows)));
    });
    const at::Tensor count = judged.sum();
    const at::Tensor losses =
        (log_sums - picked).squeeze(1).masked_fill(at::logical_not(judged), 0);
    context->save_for_backward({scores, classes, judged, log_sums, count});
    return losses.sum() / count;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "this loss has no second derivative");
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& scores = saved[0];
    const at::Tensor& log_sums = saved[3];
    // Where nothing is judged there is no loss and no gradient, and 0 / 0 is neither.
    const at::Tensor factors =
        (saved[2].to(sum_type(scores)) * (gradients[0] / saved[4].clamp_min(1))).unsqueeze(1);
    const at::Tensor ignored = at::logical_not(saved[2]).unsqueeze(1);
    // Of another device the answer would be waited for.
    const bool any_ignored = !scores.is_cpu() || ignored.any().item<bool>();
    at::Tensor out = at::empty_like(scores);
    for_each_block(scores, [&](std::int64_t first, std::int64_t rows) {
      const auto block = [&](const at::Tensor& tensor) { return tensor.narrow(0, first, rows); };
      at::Tensor probabilities =
          (block(scores).to(log_sums.scalar_type()) - block(log_sums)).exp_();
      probabilities.scatter_add_(1, block(saved[1]), at::full({rows, 1}, -1, log_sums.options()));
      probabilities.mul_(block(factors));
      // 0 times a score that is not finite would not be 0.
      if (any_ignored) probabilities.masked_fill_(block(ignored), 0);
      block(out).copy_(probabilities);
    });
    return {out, at::Tensor()};
  }
};

}  // namespace

at::Tensor cross_entropy(const at::Tensor& scores, const at::Tensor& target) {
  return CrossEntropyFunction::apply(scores, target);
}

}  // namespace tenon
