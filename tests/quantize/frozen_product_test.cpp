#include "quantize/frozen_product.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

namespace tenon {
namespace {

at::Tensor numbers(at::IntArrayRef shape, at::ScalarType dtype) {
  return at::randn(shape, at::detail::createCPUGenerator(7)).to(dtype);
}

// The product in float32, rounded once.
at::Tensor rounded(const at::Tensor& x, const at::Tensor& matrix, const at::Tensor& bias) {
  at::Tensor y = at::mm(x.to(at::kFloat), matrix.to(at::kFloat));
  if (bias.defined()) y = y + bias.to(at::kFloat);
  return y.to(x.scalar_type());
}

TEST(FrozenProduct, InFloat32IsTheExactProductRoundedOnceWhateverTheNumberOfParts) {
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
    const at::Tensor x = numbers({5, 9000}, dtype);
    const at::Tensor weight = numbers({300, 9000}, dtype);
    const at::Tensor bias = numbers({300}, dtype);
    for (const at::Tensor& added : {at::Tensor(), bias}) {
      const at::Tensor found = product_in_float32(x, weight.t(), added);
      EXPECT_EQ(found.scalar_type(), dtype);
      const at::Tensor expected = rounded(x, weight.t(), added);
      // One unit in the last place, where the order of a sum decides how it is rounded.
      EXPECT_TRUE(at::allclose(found.to(at::kFloat), expected.to(at::kFloat),
                               dtype == at::kHalf ? 1e-3 : 8e-3, 1e-3));
      EXPECT_GT((found == expected).to(at::kFloat).mean().item<float>(), 0.98F);
    }
  }
}

TEST(FrozenProduct, LinearGivesTheGradientToItsInputAlone) {
  const at::Tensor weight = numbers({6, 4}, at::kBFloat16);
  const at::Tensor bias = numbers({6}, at::kBFloat16);
  at::Tensor x = numbers({2, 3, 4}, at::kBFloat16).requires_grad_();
  const at::Tensor y = linear_in_float32(x, weight, bias);
  ASSERT_EQ(y.sizes(), at::IntArrayRef({2, 3, 6}));
  const at::Tensor g = numbers({2, 3, 6}, at::kBFloat16);
  y.backward(g);
  const at::Tensor expected = rounded(g.reshape({6, 6}), weight, {}).reshape({2, 3, 4});
  EXPECT_TRUE(at::allclose(x.grad().to(at::kFloat), expected.to(at::kFloat), 8e-3, 1e-3));
  EXPECT_FALSE(weight.grad().defined());
}

TEST(FrozenProduct, Float32IsLibTorchsOwn) {
  const at::Tensor x = numbers({3, 8}, at::kFloat);
  const at::Tensor matrix = numbers({8, 5}, at::kFloat);
  EXPECT_FALSE(is_slow_product(x, matrix));
  EXPECT_TRUE(at::equal(frozen_product(x, matrix), at::mm(x, matrix)));
}

TEST(FrozenProduct, ShapesThatDoNotFitAreNamed) {
  try {
    product_in_float32(numbers({2, 3}, at::kHalf), numbers({4, 5}, at::kHalf));
    FAIL() << "nothing was thrown";
  } catch (const c10::Error& error) {
    EXPECT_NE(std::string(error.what()).find("shapes cannot be multiplied ([2, 3] and [4, 5])"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace tenon
