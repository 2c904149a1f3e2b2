#include "train/step_exchange.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "graph/upload.h"

namespace tenon {
namespace {

// A loss is shared in full: a float and what it leaves of it.
constexpr std::int64_t kFloatsOfLoss = 2;

}  // namespace

StepExchange::StepExchange(std::shared_ptr<Ranks> ranks, std::vector<at::Tensor> parameters)
    : ranks_(std::move(ranks)), parameters_(std::move(parameters)) {
  for (const at::Tensor& parameter : parameters_) numbers_ += parameter.numel();
}

std::vector<std::vector<double>> StepExchange::share(const std::vector<double>& own) {
  if (ranks_->is_alone()) return {own};
  const auto count = static_cast<std::int64_t>(own.size());
  const at::Tensor all = at::zeros({ranks_->count(), count}, at::kDouble);
  auto* const numbers = all.mutable_data_ptr<double>();
  std::ranges::copy(own, numbers + ranks_->rank() * count);
  ranks_->sum(all);
  std::vector<std::vector<double>> shared;
  for (int rank = 0; rank < ranks_->count(); ++rank) {
    shared.emplace_back(numbers + rank * count, numbers + (rank + 1) * count);
  }
  return shared;
}

at::Tensor& StepExchange::buffer() {
  if (flat_.defined()) return flat_;
  const bool has_doubles = std::ranges::any_of(
      parameters_, [](const at::Tensor& one) { return one.scalar_type() == at::kDouble; });
  const std::int64_t flags = static_cast<std::int64_t>(parameters_.size());
  flat_ = at::empty({numbers_ + flags + kFloatsOfLoss * ranks_->count()},
                    at::TensorOptions(has_doubles ? at::kDouble : at::kFloat)
                        .device(parameters_.empty() ? at::kCPU : parameters_.front().device()));
  return flat_;
}

void StepExchange::fill(at::Tensor& flat, double loss) {
  std::int64_t place = 0;
  std::int64_t flag = numbers_;
  flat.slice(0, numbers_).zero_();
  for (const at::Tensor& parameter : parameters_) {
    const at::Tensor part = flat.narrow(0, place, parameter.numel());
    const at::Tensor& gradient = parameter.grad();
    if (gradient.defined()) {
      const bool is_dense = gradient.layout() == at::kStrided;
      part.view_as(parameter).copy_(is_dense ? gradient : gradient.to_dense());
      flat[flag].fill_(1);
    } else {
      part.zero_();
    }
    place += parameter.numel();
    ++flag;
  }
  const auto whole = static_cast<float>(loss);
  const at::Tensor own = flat.narrow(0, flag + kFloatsOfLoss * ranks_->rank(), kFloatsOfLoss);
  own[0].fill_(whole);
  own[1].fill_(loss - whole);
}

double StepExchange::take(const at::Tensor& flat) {
  std::int64_t place = 0;
  std::int64_t flag = numbers_;
  const at::Tensor ends = flat.slice(0, numbers_).to(at::kCPU, at::kDouble);
  const auto* const end = ends.const_data_ptr<double>();
  for (const at::Tensor& parameter : parameters_) {
    const bool has_gradient = end[flag - numbers_] > 0;
    if (has_gradient) {
      const at::Tensor sum = flat.narrow(0, place, parameter.numel()).view_as(parameter);
      at::Tensor& gradient = parameter.mutable_grad();
      if (gradient.defined() && gradient.layout() == at::kStrided) {
        gradient.copy_(sum);
      } else {
        gradient = sum.to(parameter.options()).clone();
      }
    }
    place += parameter.numel();
    ++flag;
  }
  double loss = 0;
  for (std::int64_t i = 0; i < kFloatsOfLoss * ranks_->count(); ++i) {
    loss += end[flag - numbers_ + i];
  }
  return loss;
}

double StepExchange::sum_gradients(double loss) {
  if (ranks_->is_alone()) return loss;
  const at::NoGradGuard no_grad;
  at::Tensor& flat = buffer();
  fill(flat, loss);
  if (flat.is_cpu()) {
    ranks_->sum(flat);
  } else {  // the ranks talk by the CPU's memory: all of it down and up again at once
    const at::Tensor here = flat.to(at::kCPU);
    ranks_->sum(here);
    flat.copy_(upload(here, flat.device()));
  }
  return take(flat);
}

}  // namespace tenon
