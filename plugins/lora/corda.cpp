// CorDA's start (Yang et al., 2024; PEFT: tuners/lora/corda.py): the singular vectors of a layer's
// weight times the covariance of its inputs, over one epoch of data. "ipm" takes the largest, which
// the data speak of; "kpm" the smallest, which leaves them alone. The base keeps the rest of its
// weight: W - s B A.
#include <algorithm>
#include <optional>
#include <utility>

#include "lora/data_start.hpp"
#include "lora/observed_rows.hpp"
#include "lora/operators.hpp"

namespace lora {
namespace {

constexpr const char* kCorda = "corda";

// The mean over a layer's calls of X^T X, X scaled to a largest value of 1.
class Covariance {
 public:
  void add(const Tensor& rows) {
    static const tenon::Operator largest("aten::max");
    static const tenon::Operator magnitude("aten::abs");
    const Tensor values = with_dtype(rows, TENON_DTYPE_FLOAT32);
    const Tensor scaled = values / magnitude(largest(values));
    const Tensor product = matmul(turned(scaled), scaled);
    sum_ = sum_ ? sum_ + product : product;
    ++count_;
  }
  bool is_empty() const { return count_ == 0; }
  Tensor mean() const { return over(sum_, static_cast<double>(count_)); }

 private:
  Tensor sum_;  // (in, in)
  std::int64_t count_ = 0;
};

struct Inverted {
  Tensor matrix;  // with what was added to its diagonal
  Tensor inverse;
};

// The more is added to the diagonal, the better the inverse.
Inverted invert(const std::string& path, const Tensor& covariance) {
  static const tenon::Operator eye("aten::eye");
  static const tenon::Operator diagonal("aten::diagonal");
  static const tenon::Operator mean("aten::mean");
  static const tenon::Operator inverse_of("aten::linalg_inv_ex");
  static const tenon::Operator distance("aten::dist");
  constexpr double kFirst = 0.01;
  constexpr double kMost = 1e6;
  constexpr double kTolerance = 0.05;
  const Tensor one =
      tenon::on_device_of(covariance, eye(covariance.size(0), tenon::Dtype{covariance.dtype()}));
  const Tensor level = mean(diagonal(covariance));
  for (double damp = kFirst; damp < kMost; damp *= 2) {
    Tensor damped = covariance + one * level * damp;
    Tensor inverse = inverse_of.results(2, damped)[0];
    const Tensor off = distance(matmul(damped, inverse), one);
    if (tenon::number_of<double>(off) < kTolerance) {
      return {std::move(damped), std::move(inverse)};
    }
  }
  fail_start(kCorda, "the covariance of the inputs of `" + path + "` cannot be inverted",
             "look for inputs that are all zero; take more data");
}

class Corda : public tenon::DataStart {
 public:
  explicit Corda(const tenon::DataRun& run) : layers_(run, kCorda) {
    if (!layers_.others.empty()) {
      refuse_start(kCorda, "starts Linear layers only, not " + layers_.names_of_others,
                   "leave them out of target_modules");
    }
    check_ranks(run);
    found_.resize(layers_.linear.size());
  }

  void observe(const tenon::DataRun&, const tenon::Observed& call) override {
    const std::int64_t number = layers_.find(call.layer());
    const Tensor rows = used_rows(call.input(), used_positions(call, std::nullopt));
    if (rows.size(0) > 0) found_[static_cast<std::size_t>(number)].add(rows);
  }

  bool after_batch(const tenon::DataRun& run) override {
    return ++batches_ >= run.batches_per_epoch();
  }

  void finish(const tenon::DataRun& run, tenon::Started& started) override {
    for (std::size_t i = 0; i < found_.size(); ++i) {
      const std::string path(run.layer(layers_.linear[i]).base().path());
      if (found_[i].is_empty()) {
        fail_start(kCorda, "`" + path + "` did not run on the data",
                   "leave it out of target_modules");
      }
      const Tensor covariance = found_[i].mean();
      if (!is_finite(covariance)) {
        fail_start(kCorda,
                   "the inputs of `" + path + "` are not finite, or none of them is above 0",
                   "look for NaN in the data, or leave the layer out of target_modules");
      }
      start_layer(run, layers_.linear[i], covariance, started);
    }
  }

 private:
  static Tensor matrix_of(const tenon::DataLayer& layer) {
    return turn_matrix(layer.base().type(), layer.weight("weight"));
  }

  void check_ranks(const tenon::DataRun& run) const {
    std::vector<std::string> problems;
    for (const std::uint32_t number : layers_.linear) {
      const tenon::DataLayer layer = run.layer(number);
      const tenon::Shape shape = layer.base().weight("weight").shape;
      const std::int64_t most = std::min(shape[0], shape[1]);
      const std::int64_t rank = layer_rank(layer.setup());
      if (rank <= most) continue;
      problems.push_back("`" + std::string(layer.base().path()) + "` has rank " +
                         std::to_string(most) + " at most, not " + std::to_string(rank));
    }
    if (!problems.empty()) {
      fail_start(kCorda, joined(problems, "; "), "lower r or rank_pattern");
    }
  }

  // A, B and what the base keeps.
  void start_layer(const tenon::DataRun& run, std::uint32_t number, const Tensor& covariance,
                   tenon::Started& started) const {
    static const tenon::Operator svd("aten::linalg_svd");
    static const tenon::Operator contiguous("aten::contiguous");
    const tenon::DataLayer layer = run.layer(number);
    const Tensor matrix = matrix_of(layer);
    const std::int64_t rank = layer_rank(layer.setup());
    const std::string path(layer.base().path());
    const Inverted inverted = invert(path, covariance);
    const std::vector<Tensor> usv =
        svd.results(3, matmul(with_dtype(matrix, TENON_DTYPE_FLOAT32), inverted.matrix), false);
    const bool takes_largest =
        run.keys().table("corda_config").find<std::string>("corda_method") == "ipm";
    const std::int64_t first = takes_largest ? 0 : usv[1].size(0) - rank;
    const Tensor roots = square_root(over(narrow(usv[1], 0, first, rank), layer.scaling()));
    const Tensor v = matmul(narrow(usv[2], 0, first, rank), inverted.inverse);
    const Tensor a = v * unsqueeze(roots, 1);
    const Tensor b = narrow(usv[0], 1, first, rank) * roots;
    if (!is_finite(a) || !is_finite(b)) {
      fail_start(kCorda, "what `" + path + "` would start from is not finite",
                 "look for NaN in the weights, and for a lora_alpha that is not above 0");
    }
    const std::int32_t wide =
        matrix.dtype() == TENON_DTYPE_FLOAT64 ? TENON_DTYPE_FLOAT64 : TENON_DTYPE_FLOAT32;
    const Tensor rest = with_dtype(matrix, wide) - layer.scaling() * matmul(b, a);
    const Tensor weight = contiguous(turn_matrix(layer.base().type(), rest));
    started.set_parameter(number, kPairs[0].down, a);
    started.set_parameter(number, kPairs[0].up, b);
    started.set_weight(number, layer.base().weight_index("weight"),
                       with_dtype(weight, matrix.dtype()));
  }

  StartedLayers layers_;
  std::vector<Covariance> found_;  // by place among the linear ones
  std::int64_t batches_ = 0;
};

}  // namespace

std::unique_ptr<tenon::DataStart> corda_start(const tenon::DataRun& run) {
  return std::make_unique<Corda>(run);
}

}  // namespace lora
