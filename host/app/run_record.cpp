#include "app/run_record.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"

namespace tenon {
namespace {

using RecordJson = nlohmann::ordered_json;

// Norms of a weight and of what a training changed in it.
struct Norms {
  double whole = 0;
  double change = 0;
};

// Some rows at a time in double precision, so that little more than the weight itself is needed.
Norms norms_of(const at::Tensor& weight, const at::Tensor& merged) {
  constexpr std::int64_t kAtOnce = std::int64_t{1} << 20;
  const at::Tensor before = weight.detach().to(merged.scalar_type()).reshape({-1});
  const at::Tensor after = merged.detach().reshape({-1});
  double whole = 0;
  double change = 0;
  for (std::int64_t first = 0; first < before.numel(); first += kAtOnce) {
    const std::int64_t count = std::min(kAtOnce, before.numel() - first);
    const at::Tensor one = before.narrow(0, first, count).to(at::kDouble);
    const at::Tensor other = after.narrow(0, first, count).to(at::kDouble);
    whole += one.square().sum().item<double>();
    change += (other - one).square().sum().item<double>();
  }
  return {std::sqrt(whole), std::sqrt(change)};
}

RecordJson layer_updates(const AdaptedModel& model) {
  RecordJson layers = RecordJson::array();
  if (!model.has_adapters()) return layers;
  const at::NoGradGuard no_grad;
  try {
    model.visit_merged(model.active(), [&](const MergedTensor& merged) {
      const at::Tensor& weight =
          model.base_tensors()[static_cast<std::size_t>(merged.tensor)].tensor;
      if (!weight.is_floating_point() || weight.sizes() != merged.merged.sizes()) return;
      const Norms norms = norms_of(weight, merged.merged);
      layers.push_back(
          {{"name", merged.name}, {"update", norms.whole == 0 ? 0 : norms.change / norms.whole}});
    });
  } catch (const Error&) {
    return RecordJson::array();  // some adapters cannot be merged, which `plan` says
  }
  return layers;
}

}  // namespace

std::string run_record(const RunConfig& config, const AdaptedModel& model,
                       const RunOutcome& outcome, const std::string& output) {
  RecordJson record = RecordJson::parse(run_json(model, outcome, output));
  for (const char* each : {"losses", "learning_rates", "grad_norms"}) record.erase(each);
  record["versions"] = {
      {"tenon", TENON_VERSION}, {"libtorch", TORCH_VERSION}, {"threads", at::get_num_threads()}};
  record["layers"] = layer_updates(model);
  record["config"] = read_text_file(config.file, Stage::kConfig);
  return record.dump(2) + "\n";
}

}  // namespace tenon
