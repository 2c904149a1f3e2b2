#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "graph/parameter_init.h"
#include "plugin/host_table.h"
#include "plugins/lora/parts.h"

const tenon_host* table_of_the_host();
const tenon_host* table_of_the_host() { return &tenon::host_table(); }

namespace tenon {
namespace {

using lora_parts::fit;

// Rows of which each next feature varies half as much.
at::Tensor rows_of(std::int64_t n, std::uint64_t seed) {
  const at::Tensor spread = at::pow(0.5, at::arange(6, at::kFloat));
  return at::randn({n, 6}, make_generator(seed), at::kFloat) * spread + 1;
}

TEST(IncrementalPca, FindsTheAxisThatRowsLieOn) {
  const auto pca =
      fit(1, {at::outer(at::linspace(-1, 1, 5, at::kFloat), at::tensor({3.0F, 0.0F, -4.0F}))});
  EXPECT_TRUE(at::allclose(pca.components, at::tensor({-0.6F, 0.0F, 0.8F}).unsqueeze(0), 0, 1e-6));
  EXPECT_NEAR(pca.explained_variance_ratio.item<float>(), 1, 1e-6);
}

TEST(IncrementalPca, BatchesAndTheWholeHaveTheSameComponents) {
  const at::Tensor first = rows_of(20, 1);
  const at::Tensor second = rows_of(30, 2);
  const auto batches = fit(6, {first, second});
  const at::Tensor whole = at::vstack({first, second}).to(at::kDouble);
  const at::Tensor values =
      std::get<1>(at::linalg_svd(whole - whole.mean(0), /*full_matrices=*/false));
  EXPECT_TRUE(at::allclose(batches.singular_values.to(at::kDouble), values, 1e-5));
  EXPECT_NEAR(batches.explained_variance_ratio.sum().item<double>(), 1, 1e-5);
  const at::Tensor components = batches.components.to(at::kDouble);
  EXPECT_TRUE(at::allclose(components.matmul(components.t()), at::eye(6, at::kDouble), 0, 1e-5));
}

TEST(IncrementalPca, RowsThatDoNotVaryAreExplainedByNothing) {
  const auto pca = fit(2, {at::ones({4, 6})});
  EXPECT_TRUE(pca.explained_variance_ratio.equal(at::zeros(2)));
}

TEST(IncrementalPca, RowsOfMoreFeaturesThanRowsAreFitToo) {
  const at::Tensor rows = rows_of(4, 3);
  const auto pca = fit(2, {rows});
  EXPECT_EQ(pca.components.sizes(), at::IntArrayRef({2, 6}));
  const at::Tensor values =
      std::get<1>(at::linalg_svd(rows - rows.mean(0), /*full_matrices=*/false));
  EXPECT_TRUE(at::allclose(pca.singular_values, values.narrow(0, 0, 2), 1e-4));
}

}  // namespace
}  // namespace tenon
