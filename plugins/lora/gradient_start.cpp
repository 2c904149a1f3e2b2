// LoRA-GA's start (Wang et al. 2024, arXiv:2407.05000; PEFT: tuners/lora/loraga.py, layer.py): the
// singular vectors of the loss's gradient in a layer's weight, over one epoch of data, so that the
// first steps go where those of a full training would. A takes r of the first 2 r right vectors, B
// as many of the left ones; the base keeps the rest of its weight: W - s B A.
#include <algorithm>
#include <cmath>
#include <utility>

#include "lora/data_start.hpp"
#include "lora/observed_rows.hpp"
#include "lora/operators.hpp"

namespace lora {
namespace {

constexpr const char* kLoraGa = "lora_ga";

// The mean over a layer's calls of the gradient in its weight, (out, in).
class WeightGradient {
 public:
  void add(const Tensor& inputs, const Tensor& gradients) {
    const Tensor rows = used_rows(with_dtype(inputs, TENON_DTYPE_FLOAT32), {});
    const Tensor by_row = used_rows(with_dtype(gradients, TENON_DTYPE_FLOAT32), {});
    const Tensor product = matmul(turned(by_row), rows);
    sum_ = sum_ ? sum_ + product : product;
    ++count_;
  }
  bool is_empty() const { return count_ == 0; }
  Tensor mean() const { return sum_ / static_cast<double>(count_); }

 private:
  Tensor sum_;
  std::int64_t count_ = 0;
};

Tensor select(const Tensor& x, std::int64_t dimension, const Tensor& places) {
  static const tenon::Operator op("aten::index_select");
  return op(x, dimension, places);
}

// Which singular vectors A takes, and B.
std::pair<Tensor, Tensor> places(const std::string& direction, std::int64_t r) {
  static const tenon::Operator arange("aten::arange", "start_step");
  static const tenon::Operator randperm("aten::randperm", "generator");
  const auto from = [&](std::int64_t first, std::int64_t end, std::int64_t step) {
    return arange(first, end, step, tenon::Dtype{TENON_DTYPE_INT64});
  };
  if (direction == "ArBr") return {from(1, 2 * r, 2), from(0, 2 * r, 2)};
  if (direction == "A2rBr") return {from(r, 2 * r, 1), from(0, r, 1)};
  if (direction == "ArB2r") return {from(0, r, 1), from(r, 2 * r, 1)};
  const tenon::Generator generator(0);
  const Tensor drawn = narrow(randperm(2 * r, generator.get()), 0, 0, r);
  return {drawn, drawn};
}

// Of the weight's largest singular value to the first of these; 1 where that is none.
double largest_ratio(const Tensor& matrix, const Tensor& values) {
  static const tenon::Operator singular("aten::linalg_svdvals");
  const auto first = [](const Tensor& x) { return tenon::number_of<double>(narrow(x, 0, 0, 1)); };
  const double of_b = first(values);
  if (!(of_b > 0)) return 1;
  return first(singular(with_dtype(matrix, TENON_DTYPE_FLOAT32))) / of_b;
}

class LoraGa : public tenon::DataStart {
 public:
  explicit LoraGa(const tenon::DataRun& run) : layers_(run, kLoraGa) {
    if (!layers_.others.empty()) {
      refuse_start(kLoraGa, "starts Linear layers only, not " + layers_.names_of_others,
                   "leave them out of target_modules");
    }
    check_ranks(run);
    found_.resize(layers_.linear.size());
  }

  void observe(const tenon::DataRun&, const tenon::Observed& call) override {
    const std::int64_t number = layers_.find(call.layer());
    const Tensor gradient = call.output_gradient();
    if (gradient) found_[static_cast<std::size_t>(number)].add(call.input(), gradient);
  }

  bool after_batch(const tenon::DataRun& run) override {
    return ++batches_ >= run.batches_per_epoch();
  }

  void finish(const tenon::DataRun& run, tenon::Started& started) override {
    for (std::size_t i = 0; i < found_.size(); ++i) {
      const std::string path(run.layer(layers_.linear[i]).base().path());
      if (found_[i].is_empty()) {
        fail_start(kLoraGa, "the loss does not depend on `" + path + "`",
                   "leave it out of target_modules");
      }
      const Tensor gradient = found_[i].mean();
      if (!is_finite(gradient)) {
        fail_start(kLoraGa, "the gradient of `" + path + "` is not finite",
                   "look for NaN in the data and in the weights");
      }
      start_layer(run, layers_.linear[i], gradient, started);
    }
  }

 private:
  void check_ranks(const tenon::DataRun& run) const {
    std::vector<std::string> problems;
    for (const std::uint32_t number : layers_.linear) {
      const tenon::DataLayer layer = run.layer(number);
      const tenon::Shape shape = layer.base().weight("weight").shape;
      const std::int64_t most = std::min(shape[0], shape[1]) / 2;
      const std::int64_t rank = layer_rank(layer.setup());
      if (rank <= most) continue;
      problems.push_back("`" + std::string(layer.base().path()) + "` can have rank " +
                         std::to_string(most) + " at most, not " + std::to_string(rank));
    }
    if (!problems.empty()) {
      fail_start(kLoraGa, joined(problems, "; ") + " (it takes twice as many vectors)",
                 "lower r or rank_pattern");
    }
  }

  // A, B and what the base keeps.
  static void start_layer(const tenon::DataRun& run, std::uint32_t number, const Tensor& gradient,
                          tenon::Started& started) {
    static const tenon::Operator svd("aten::linalg_svd");
    static const tenon::Operator contiguous("aten::contiguous");
    const tenon::DataLayer layer = run.layer(number);
    const tenon::DataKeys keys = run.keys();
    const tenon::Table settings = keys.table("lora_ga_config");
    const Tensor matrix = turn_matrix(layer.base().type(), layer.weight("weight"));
    const std::vector<Tensor> usv = svd.results(3, gradient, false);
    const auto [of_a, of_b] =
        places(*settings.find<std::string>("direction"), layer_rank(layer.setup()));
    const Tensor values = select(usv[1], 0, of_b);
    Tensor a = select(usv[2], 0, of_a);
    Tensor b = select(usv[0], 1, of_b) * values;
    const std::string scale = *settings.find<std::string>("scale");
    if (scale == "stable") {
      const double gamma = *settings.find<double>("stable_gamma");
      b = b * (std::pow(static_cast<double>(matrix.size(0)), 0.25) / std::sqrt(gamma));
    } else if (scale == "weight_svd") {
      b = b * largest_ratio(matrix, values);
    } else if (scale == "gd_scale") {
      a = a / layer.scaling();
      b = b / layer.scaling();
    }
    if (!is_finite(a) || !is_finite(b)) {
      fail_start(kLoraGa,
                 "what `" + std::string(layer.base().path()) + "` would start from is not finite",
                 "look for NaN in the weights");
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
  std::vector<WeightGradient> found_;  // by place among the linear ones
  std::int64_t batches_ = 0;
};

}  // namespace

std::unique_ptr<tenon::DataStart> lora_ga_start(const tenon::DataRun& run) {
  return std::make_unique<LoraGa>(run);
}

}  // namespace lora
