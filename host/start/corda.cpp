#include "start/corda.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/suggest.h"
#include "start/layer_inputs.h"

namespace tenon {
namespace {

[[noreturn]] void fail_corda(const std::string& what, const std::string& hint) {
  throw Error({.stage = Stage::kTraining,
               .message = "init_lora_weights = \"corda\": " + what,
               .hint = hint});
}

bool is_finite(const at::Tensor& tensor) { return at::isfinite(tensor).all().item<bool>(); }

void check_ranks(const std::vector<CordaLayer>& layers) {
  std::vector<std::string> problems;
  for (const CordaLayer& layer : layers) {
    const std::int64_t most = std::min(layer.matrix.size(0), layer.matrix.size(1));
    if (layer.rank <= most) continue;
    problems.push_back("`" + layer.path + "` has rank " + std::to_string(most) + " at most, not " +
                       std::to_string(layer.rank));
  }
  if (!problems.empty()) fail_corda(join(problems, "; "), "lower r or rank_pattern");
}

// The mean over a layer's calls of XᵀX, X scaled to a largest value of 1.
class Covariance {
 public:
  void add(const at::Tensor& rows) {
    const at::Tensor values = rows.to(at::kFloat);
    const at::Tensor scaled = values / values.max().abs();
    const at::Tensor product = scaled.t().matmul(scaled);
    sum_ = sum_.defined() ? sum_ + product : product;
    ++count_;
  }
  bool is_empty() const { return count_ == 0; }
  at::Tensor mean() const { return sum_ / count_; }

 private:
  at::Tensor sum_;  // (in, in)
  std::int64_t count_ = 0;
};

std::vector<Covariance> covariances(const AdaptedModel& model,
                                    const std::vector<CordaLayer>& layers, BatchOrder& batches) {
  std::map<std::string, std::size_t> numbers;
  for (std::size_t i = 0; i < layers.size(); ++i) numbers.emplace(layers[i].path, i);
  std::vector<Covariance> found(layers.size());
  for (std::int64_t i = 0; i < batches.steps_per_epoch(); ++i) {
    const Batch batch = std::move(batches.next().front());
    const at::Tensor positions = used_positions(model.model().inputs, batch, std::nullopt);
    observe_inputs(model, batch, [&](const std::string& path, const at::Tensor& input) {
      const auto number = numbers.find(path);
      if (number == numbers.end()) return;
      const at::Tensor rows = used_rows(input, positions);
      if (rows.size(0) > 0) found[number->second].add(rows);
    });
  }
  return found;
}

struct Inverted {
  at::Tensor matrix;  // with what was added to its diagonal
  at::Tensor inverse;
};

// The more is added to the diagonal, the better the inverse.
Inverted invert(const CordaLayer& layer, const at::Tensor& covariance) {
  constexpr double kFirst = 0.01;
  constexpr double kMost = 1e6;
  constexpr double kTolerance = 0.05;
  const at::Tensor one = at::eye(covariance.size(0), covariance.options());
  const at::Tensor level = covariance.diagonal().mean();
  for (double damp = kFirst; damp < kMost; damp *= 2) {
    const at::Tensor damped = covariance + one * level * damp;
    const at::Tensor inverse = std::get<0>(at::linalg_inv_ex(damped));
    if (at::dist(damped.matmul(inverse), one).item<double>() < kTolerance) {
      return {damped, inverse};
    }
  }
  fail_corda("the covariance of the inputs of `" + layer.path + "` cannot be inverted",
             "look for inputs that are all zero; take more data");
}

CordaFactors factors(const CordaLayer& layer, const at::Tensor& covariance,
                     const CordaConfig& config) {
  const auto [damped, inverse] = invert(layer, covariance);
  const auto [u, s, vh] =
      at::linalg_svd(layer.matrix.to(at::kFloat).matmul(damped), /*full_matrices=*/false);
  const std::int64_t first = config.corda_method == "ipm" ? 0 : s.size(0) - layer.rank;
  const at::Tensor root = (s.narrow(0, first, layer.rank) / layer.scaling).sqrt();
  const at::Tensor v = vh.narrow(0, first, layer.rank).matmul(inverse);
  CordaFactors pair{v * root.unsqueeze(1), u.narrow(1, first, layer.rank) * root};
  if (!is_finite(pair.a) || !is_finite(pair.b)) {
    fail_corda("what `" + layer.path + "` would start from is not finite",
               "look for NaN in the weights, and for a lora_alpha that is not above 0");
  }
  return pair;
}

}  // namespace

std::vector<CordaFactors> corda_start(const AdaptedModel& model,
                                      const std::vector<CordaLayer>& layers,
                                      const CordaConfig& config, BatchOrder& batches) {
  check_ranks(layers);
  const std::vector<Covariance> found = covariances(model, layers, batches);
  std::vector<CordaFactors> starts;
  starts.reserve(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::string& path = layers[i].path;
    if (found[i].is_empty()) {
      fail_corda("`" + path + "` did not run on the data", "leave it out of target_modules");
    }
    const at::Tensor covariance = found[i].mean();
    if (!is_finite(covariance)) {
      fail_corda("the inputs of `" + path + "` are not finite, or none of them is above 0",
                 "look for NaN in the data, or leave the layer out of target_modules");
    }
    starts.push_back(factors(layers[i], covariance, config));
  }
  return starts;
}

}  // namespace tenon
