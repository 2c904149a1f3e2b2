#include "lora/incremental_pca.hpp"

#include <cmath>
#include <vector>

#include "lora/operators.hpp"

namespace lora {
namespace {

struct Decomposition {
  Tensor values;   // singular values, the largest first
  Tensor vectors;  // right singular vectors, one a row
};

Tensor basis(const Tensor& matrix) {
  static const tenon::Operator qr("aten::linalg_qr");
  return qr.results(2, matrix, "reduced")[0];
}

// An orthonormal basis of about what `matrix` maps to (Halko et al., 2009, algorithm 4.4).
Tensor approximate_basis(const Tensor& matrix, std::int64_t size) {
  constexpr std::uint64_t kSeed = 42;
  constexpr int kIterations = 4;
  static const tenon::Operator randn("aten::randn", "generator");
  const tenon::Generator generator(kSeed);
  const Tensor drawn = tenon::on_device_of(
      matrix,
      randn(tenon::Shape{matrix.size(1), size}, generator.get(), tenon::Dtype{matrix.dtype()}));
  Tensor q = basis(matmul(matrix, drawn));
  for (int i = 0; i < kIterations; ++i) {
    q = basis(matmul(turned(matrix), q));
    q = basis(matmul(matrix, q));
  }
  return q;
}

// Of about the `size` largest singular values (torch.svd_lowrank).
Decomposition low_rank_decomposition(const Tensor& matrix, std::int64_t size) {
  static const tenon::Operator svd("aten::linalg_svd");
  const bool is_wide = matrix.size(0) < matrix.size(1);
  const Tensor tall = is_wide ? turned(matrix) : matrix;
  const Tensor q = approximate_basis(tall, size);
  const std::vector<Tensor> usv = svd.results(3, matmul(turned(q), tall), false);
  return {usv[1], is_wide ? turned(matmul(q, usv[0])) : usv[2]};
}

// Signs that let each row's entry of the largest magnitude be positive.
Tensor row_signs(const Tensor& rows) {
  static const tenon::Operator magnitude("aten::abs");
  static const tenon::Operator largest("aten::argmax");
  static const tenon::Operator gather("aten::gather");
  static const tenon::Operator sign("aten::sign");
  return sign(gather(rows, 1, largest(magnitude(rows), 1, true)));
}

Tensor stack_rows(const std::vector<tenon_tensor>& parts) {
  static const tenon::Operator op("aten::vstack");
  return op(parts);
}

}  // namespace

void IncrementalPca::fit(const Tensor& rows) {
  static const tenon::Operator mean_of("aten::mean", "dim");
  static const tenon::Operator without_nan("aten::nan_to_num");
  static const tenon::Operator total_of("aten::sum");
  const std::int64_t n = rows.size(0);
  const std::int64_t total = n_rows_ + n;
  const auto n_new = static_cast<double>(n);
  const auto n_old = static_cast<double>(n_rows_);
  const auto n_all = static_cast<double>(total);
  const Tensor sum = column_sums(rows);
  const Tensor deviations = rows - over(sum, n_new);
  Tensor spread = column_sums(square(deviations)) - over(square(column_sums(deviations)), n_new);
  Tensor mean = over(sum, n_all);
  Tensor stacked = tenon::to_dtype(rows - mean, rows.dtype());
  if (n_rows_ > 0) {
    const double ratio = n_old / n_new;
    spread =
        spread + variance_ * n_old + (ratio / n_all) * square(over(mean_ * n_old, ratio) - sum);
    mean = over(mean_ * n_old + sum, n_all);
    const double weight = std::sqrt(n_old / n_all * n_new);
    const Tensor batch_mean = mean_of(rows, tenon::Shape{0});
    const Tensor known = unsqueeze(singular_values_, 1) * components_;
    const Tensor fresh = rows - batch_mean;
    const Tensor shift = weight * (mean_ - batch_mean);
    stacked = stack_rows({known.handle(), fresh.handle(), shift.handle()});
  }
  const Decomposition found = low_rank_decomposition(stacked, 2 * n_components_);
  components_ = narrow(found.vectors * row_signs(found.vectors), 0, 0, n_components_);
  singular_values_ = narrow(found.values, 0, 0, n_components_);
  // Of rows that do not vary, none.
  explained_variance_ratio_ = without_nan(square(singular_values_) / total_of(spread), 0.0, 0.0);
  mean_ = std::move(mean);
  variance_ = over(spread, n_all);
  n_rows_ = total;
}

}  // namespace lora
