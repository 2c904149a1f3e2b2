#include "start/incremental_pca.h"

#include <ATen/ATen.h>

#include <cmath>
#include <tuple>
#include <utility>

#include "model/parameter_init.h"

namespace tenon {
namespace {

struct Decomposition {
  at::Tensor values;   // singular values, the largest first
  at::Tensor vectors;  // right singular vectors, one a row
};

// An orthonormal basis of about what `matrix` maps to (Halko et al., 2009, algorithm 4.4).
at::Tensor approximate_basis(const at::Tensor& matrix, std::int64_t size) {
  constexpr std::uint64_t kSeed = 42;
  constexpr int kIterations = 4;
  const auto basis = [](const at::Tensor& tensor) { return std::get<0>(at::linalg_qr(tensor)); };
  at::Tensor q = basis(
      matrix.matmul(at::randn({matrix.size(1), size}, make_generator(kSeed), matrix.options())));
  for (int i = 0; i < kIterations; ++i) {
    q = basis(matrix.t().matmul(q));
    q = basis(matrix.matmul(q));
  }
  return q;
}

// Of about the `size` largest singular values (torch.svd_lowrank).
Decomposition low_rank_decomposition(const at::Tensor& matrix, std::int64_t size) {
  const bool is_wide = matrix.size(0) < matrix.size(1);
  const at::Tensor tall = is_wide ? matrix.t() : matrix;
  const at::Tensor q = approximate_basis(tall, size);
  const auto [u, s, vh] = at::linalg_svd(q.t().matmul(tall), /*full_matrices=*/false);
  return {s, is_wide ? q.matmul(u).t() : vh};
}

// Signs that let each row's entry of the largest magnitude be positive.
at::Tensor row_signs(const at::Tensor& rows) {
  return rows.gather(1, rows.abs().argmax(1, /*keepdim=*/true)).sign();
}

}  // namespace

void IncrementalPca::fit(const at::Tensor& rows) {
  const std::int64_t n = rows.size(0);
  const std::int64_t total = n_rows_ + n;
  const at::Tensor sum = rows.sum(0, /*keepdim=*/false, at::kDouble);
  const at::Tensor deviations = rows - sum / n;
  at::Tensor spread = deviations.square().sum(0, false, at::kDouble) -
                      deviations.sum(0, false, at::kDouble).square() / n;
  at::Tensor mean = sum / total;
  at::Tensor stacked = (rows - mean).to(rows.scalar_type());
  if (n_rows_ > 0) {
    const double ratio = static_cast<double>(n_rows_) / static_cast<double>(n);
    spread = spread + variance_ * n_rows_ +
             ratio / static_cast<double>(total) * (mean_ * n_rows_ / ratio - sum).square();
    mean = (mean_ * n_rows_ + sum) / total;
    const double weight = std::sqrt(static_cast<double>(n_rows_) / static_cast<double>(total) *
                                    static_cast<double>(n));
    const at::Tensor batch_mean = rows.mean(0);
    stacked = at::vstack({singular_values_.unsqueeze(1) * components_, rows - batch_mean,
                          weight * (mean_ - batch_mean)});
  }
  const auto found = low_rank_decomposition(stacked, 2 * n_components_);
  components_ = (found.vectors * row_signs(found.vectors)).narrow(0, 0, n_components_);
  singular_values_ = found.values.narrow(0, 0, n_components_);
  // Of rows that do not vary, none.
  explained_variance_ratio_ =
      (singular_values_.square() / spread.sum()).nan_to_num(/*nan=*/0, /*posinf=*/0);
  mean_ = std::move(mean);
  variance_ = spread / total;
  n_rows_ = total;
}

}  // namespace tenon
