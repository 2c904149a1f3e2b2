// The expected calibration error (Naeini et al. 2015; Guo et al. 2017,
// https://arxiv.org/abs/1706.04599, equation 3): rows are sorted into bins of equal width by how
// sure the model is of its answer, and in each the share of right answers is compared with that.
#include <algorithm>
#include <cmath>
#include <limits>
#include <tenon/sdk.hpp>
#include <vector>

namespace {

using tenon::Operator;
using tenon::Tensor;

class CalibrationError : public tenon::Metric<CalibrationError> {
 public:
  static constexpr tenon::metric_type kMetric{
      .name = "tenon.calibration_error",
      .judged = TENON_JUDGED_CLASSES,
      .doc = "By how much the model is surer, or less sure, than it is right.",
      .greater_is_better = false};
  static constexpr tenon_option kOptions[] = {
      tenon::option::integer("bins", 15, tenon::at_least(1), "Of confidence, of equal width.")};

  explicit CalibrationError(const tenon::LossOptions& options)
      : bins_(static_cast<std::size_t>(options.option<std::int64_t>("bins"))) {}

  void add(const Tensor& scores, const Tensor& truth) {
    static const Operator softmax("aten::softmax", "int");
    static const Operator max("aten::max", "dim");
    const std::vector<Tensor> best =
        max.results(2, softmax(tenon::to_dtype(scores, TENON_DTYPE_FLOAT64), 1), 1);
    const auto sure = tenon::numbers_of<double>(best[0]);
    const auto said = tenon::numbers_of<std::int64_t>(best[1]);
    const auto right = tenon::numbers_of<std::int64_t>(truth);
    const auto n = static_cast<double>(bins_.size());
    for (std::size_t i = 0; i < sure.size(); ++i) {
      // A bin holds its upper end, not its lower one.
      const double place = std::clamp(std::ceil(sure[i] * n) - 1, 0.0, n - 1);
      Bin& bin = bins_[static_cast<std::size_t>(place)];
      bin.sure += sure[i];
      bin.right += said[i] == right[i] ? 1 : 0;
    }
    rows_ += sure.size();
  }

  double value() const {
    if (rows_ == 0) return std::numeric_limits<double>::quiet_NaN();
    double error = 0;
    for (const Bin& bin : bins_) error += std::abs(bin.right - bin.sure);
    return error / static_cast<double>(rows_);
  }

 private:
  struct Bin {
    double sure = 0;   // the sum of the confidences
    double right = 0;  // how many answers were right
  };
  std::vector<Bin> bins_;
  std::size_t rows_ = 0;
};

}  // namespace

TENON_PLUGIN("tenon.calibration_error", "0.1.0", CalibrationError)
