#include "interpreter/package_operators.h"

#include <ATen/ATen.h>

#include "support/error_matchers.h"

namespace tenon {
namespace {

using ::testing::HasSubstr;

at::Tensor grouped(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& ends) {
  const auto handle = find_operator("transformers::grouped_mm_fallback", "");
  torch::jit::Stack stack{input, weight, ends};
  handle.value().callBoxed(&stack);
  return stack.at(0).toTensor();
}

TEST(FindOperator, OperatorsOfLibTorchAreFoundAndOthersAreNot) {
  EXPECT_TRUE(find_operator("aten::linear", ""));
  EXPECT_FALSE(find_operator("acme::first", ""));
}

TEST(GroupedMatrixProduct, EachExpertTakesItsRows) {
  const at::Tensor input = at::randn({5, 3});
  const at::Tensor weight = at::randn({3, 3, 2});
  const at::Tensor output = grouped(input, weight, at::tensor({2, 2, 4}, at::kInt));
  EXPECT_TRUE(at::equal(output.slice(0, 0, 2), input.slice(0, 0, 2).mm(weight[0])));
  EXPECT_TRUE(at::equal(output.slice(0, 2, 4), input.slice(0, 2, 4).mm(weight[2])));
  EXPECT_TRUE(at::equal(output[4], at::zeros({2})));  // behind the last expert's rows
}

TEST(GroupedMatrixProduct, GradientsReachRowsAndExperts) {
  const at::Tensor input = at::randn({3, 3}).requires_grad_(true);
  const at::Tensor weight = at::randn({2, 3, 2}).requires_grad_(true);
  grouped(input, weight, at::tensor({1, 3})).sum().backward();
  EXPECT_TRUE(at::allclose(input.grad()[0], weight.detach()[0].sum(1)));
  EXPECT_TRUE(at::allclose(weight.grad()[1].select(1, 0), input.detach().slice(0, 1).sum(0)));
}

TEST(GroupedMatrixProduct, OffsetsThatDoNotFitAreRefused) {
  const auto run = [] { grouped(at::ones({2, 3}), at::ones({1, 3, 2}), at::tensor({3})); };
  try {
    run();
    FAIL() << "offsets beyond the rows were taken";
  } catch (const c10::Error& error) {
    EXPECT_THAT(error.what_without_backtrace(), HasSubstr("do not ascend within 2 rows"));
  }
}

}  // namespace
}  // namespace tenon
