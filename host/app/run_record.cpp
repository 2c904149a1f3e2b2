#include "app/run_record.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/headeronly/version.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"

namespace tenon {
namespace {

using RecordJson = nlohmann::ordered_json;

double norm_of_matrix(const at::Tensor& tensor) {
  return tensor.detach().to(at::kDouble).norm().item<double>();
}

RecordJson layer_updates(AdaptedModel& model) {
  RecordJson layers = RecordJson::array();
  if (!model.has_adapters()) return layers;
  const at::NoGradGuard no_grad;
  try {
    model.merge(model.active());
  } catch (const Error&) {
    return layers;  // some adapters cannot be merged, which `plan` says
  }
  for (const MergedTensor& merged : model.merged_tensors()) {
    const at::Tensor& weight = model.base_tensors()[static_cast<std::size_t>(merged.tensor)].tensor;
    if (!weight.is_floating_point() || weight.sizes() != merged.merged.sizes()) continue;
    const double change =
        norm_of_matrix(merged.merged.detach().to(at::kDouble) - weight.detach().to(at::kDouble));
    const double whole = norm_of_matrix(weight);
    layers.push_back({{"name", merged.name}, {"update", whole == 0 ? 0 : change / whole}});
  }
  model.unmerge();
  return layers;
}

}  // namespace

std::string run_record(const RunConfig& config, AdaptedModel& model, const RunOutcome& outcome,
                       const std::string& output) {
  RecordJson record = RecordJson::parse(run_json(model, outcome, output));
  for (const char* each : {"losses", "learning_rates", "grad_norms"}) record.erase(each);
  record["versions"] = {
      {"tenon", TENON_VERSION}, {"libtorch", TORCH_VERSION}, {"threads", at::get_num_threads()}};
  record["layers"] = layer_updates(model);
  record["config"] = read_text_file(config.file, Stage::kConfig);
  return record.dump(2) + "\n";
}

}  // namespace tenon
