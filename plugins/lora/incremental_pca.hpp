#pragma once

#include <cstdint>
#include <utility>

#include <tenon/sdk.hpp>

namespace lora {

// The principal components of rows that come in batches, by the singular values of what is known so
// far stacked on the new rows (Ross et al., 2008; PEFT: utils/incremental_pca.py, in its low-rank
// form with seed 42, so that both find the same vectors to the last bits).
class IncrementalPca {
 public:
  explicit IncrementalPca(std::int64_t n_components) : n_components_(n_components) {}

  // `rows`: (n, features) of float32, n and features at least n_components.
  void fit(const tenon::Tensor& rows);

  bool is_fitted() const { return static_cast<bool>(components_); }
  std::int64_t n_components() const { return n_components_; }
  // (n_components, features), orthonormal rows, the largest singular value first.
  const tenon::Tensor& components() const { return components_; }
  const tenon::Tensor& singular_values() const { return singular_values_; }  // (n_components)
  // (n_components): each component's share of the variance of all rows; 0 where they do not vary.
  const tenon::Tensor& explained_variance_ratio() const { return explained_variance_ratio_; }

 private:
  std::int64_t n_components_;
  std::int64_t n_rows_ = 0;
  tenon::Tensor mean_;      // (features), float64
  tenon::Tensor variance_;  // (features), float64
  tenon::Tensor components_;
  tenon::Tensor singular_values_;
  tenon::Tensor explained_variance_ratio_;
};

}  // namespace lora
