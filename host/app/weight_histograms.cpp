#include "app/weight_histograms.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "operations/adapter_stages.h"

namespace tenon {
namespace {

constexpr std::int64_t kBuckets = 30;

Histogram histogram_of(const at::Tensor& tensor) {
  const at::NoGradGuard no_grad;
  const at::Tensor all = tensor.detach().to(at::kCPU, at::kDouble).flatten();
  const at::Tensor values = all.masked_select(at::isfinite(all));
  Histogram histogram;
  if (values.numel() == 0) return histogram;
  histogram.least = values.min().item<double>();
  histogram.largest = values.max().item<double>();
  histogram.count = static_cast<double>(values.numel());
  histogram.sum = values.sum().item<double>();
  histogram.sum_of_squares = values.square().sum().item<double>();
  // Of one value alone a bucket of width 1 around it, as NumPy's histogram has it.
  const bool is_one = histogram.least == histogram.largest;
  const double first = is_one ? histogram.least - 0.5 : histogram.least;
  const double last = is_one ? histogram.largest + 0.5 : histogram.largest;
  const at::Tensor counts = at::histc(values, kBuckets, first, last);
  for (std::int64_t i = 0; i < kBuckets; ++i) {
    histogram.limits.push_back(i + 1 == kBuckets
                                   ? last
                                   : first + (last - first) * static_cast<double>(i + 1) /
                                                 static_cast<double>(kBuckets));
    histogram.counts.push_back(counts[i].item<double>());
  }
  return histogram;
}

}  // namespace

std::map<std::string, Histogram> weight_histograms(const AdaptedModel& model) {
  std::map<std::string, Histogram> histograms;
  for (const std::string& name : model.adapter_names()) {
    const std::string prefix = name == kDefaultAdapter ? "weights/" : "weights/" + name + "/";
    for (const AddedTensor& added : model.adapter(name).tensors) {
      if (!added.trainable || !added.tensor.requires_grad()) continue;
      histograms.emplace(prefix + added.key(), histogram_of(added.tensor));
    }
  }
  for (const ModelTensor& tensor : model.base_tensors()) {
    if (!tensor.tensor.requires_grad()) continue;
    histograms.emplace("weights/" + tensor.name, histogram_of(tensor.tensor));
  }
  return histograms;
}

}  // namespace tenon
