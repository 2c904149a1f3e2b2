#include "quantize/packed_tensor.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>

#include <string>

namespace tenon {
namespace {

using testing::HasSubstr;

struct Case {
  PackedFormat format;
  std::int64_t rows;
  std::int64_t columns;
};

class PackedTensor : public testing::TestWithParam<Case> {
 protected:
  PackedTensor() {
    at::manual_seed(3);
    original = at::randn({GetParam().rows, GetParam().columns}) * 0.3;
    weight = pack(original, GetParam().format);
    packed = packed_tensor(weight, at::kFloat);
    plain = weight->unpack(at::kFloat);
  }
  at::Tensor original;
  std::shared_ptr<const PackedWeight> weight;
  at::Tensor packed;
  at::Tensor plain;
};

at::Tensor far(const at::Tensor& found, const at::Tensor& expected) {
  return (found - expected).abs().max();
}

TEST_P(PackedTensor, LooksLikeTheMatrixThatItHolds) {
  EXPECT_EQ(packed.sizes(), original.sizes());
  EXPECT_EQ(packed.scalar_type(), at::kFloat);
  EXPECT_TRUE(packed.is_cpu());
  EXPECT_TRUE(packed.is_contiguous());
  EXPECT_FALSE(packed.requires_grad());
  EXPECT_FALSE(packed.has_storage());
  EXPECT_LT(stored_bytes(packed), static_cast<std::int64_t>(original.nbytes()) / 2);
  EXPECT_TRUE(is_packed(packed) && !is_packed(plain));
}

TEST_P(PackedTensor, HoldsTheMatrixToWithinItsSteps) {
  const double share = GetParam().format == PackedFormat::kInt8 ? 0.005 : 0.16;
  EXPECT_LT(far(plain, original).item<double>(), share * original.abs().max().item<double>());
}

TEST_P(PackedTensor, PartsAreThoseOfTheWhole) {
  const std::int64_t rows = GetParam().rows;
  const std::int64_t columns = GetParam().columns;
  const at::Tensor part = weight->unpack({1, rows - 2, 3, columns - 5}, at::kFloat);
  EXPECT_TRUE(at::equal(part, plain.narrow(0, 1, rows - 2).narrow(1, 3, columns - 5)));
}

TEST_P(PackedTensor, ProductsAndGradientsAreThoseOfThePlainMatrix) {
  const at::Tensor bias = at::randn({GetParam().rows});
  for (const auto& shape : {std::vector<std::int64_t>{7, GetParam().columns},
                            std::vector<std::int64_t>{2, 3, GetParam().columns}}) {
    at::Tensor x = at::randn(shape).requires_grad_();
    at::Tensor other = x.detach().clone().requires_grad_();
    const at::Tensor y = at::linear(x, packed, bias);
    const at::Tensor expected = at::linear(other, plain, bias);
    EXPECT_LT(far(y, expected).item<double>(), 1e-5);
    const at::Tensor direction = at::randn_like(expected);
    (y * direction).sum().backward();
    (expected * direction).sum().backward();
    EXPECT_LT(far(x.grad(), other.grad()).item<double>(), 1e-5);
  }
}

TEST_P(PackedTensor, ProductsOfEveryKindAreThePlainOnes) {
  const at::Tensor x = at::randn({5, GetParam().rows});
  const at::Tensor y = at::randn({GetParam().columns, 4});
  EXPECT_LT(far(x.mm(packed), x.mm(plain)).item<double>(), 1e-5);
  EXPECT_LT(far(packed.mm(y), plain.mm(y)).item<double>(), 1e-5);
  EXPECT_LT(far(packed.matmul(y.select(1, 0)), plain.matmul(y.select(1, 0))).item<double>(), 1e-5);
  EXPECT_LT(far(at::addmm(at::ones({5, 1}), x, packed, 2, 0.5),
                at::addmm(at::ones({5, 1}), x, plain, 2, 0.5))
                .item<double>(),
            1e-5);
  EXPECT_TRUE(at::allclose(at::addmm(at::ones({1, 4}), packed, y, 2, 0.5),
                           at::addmm(at::ones({1, 4}), plain, y, 2, 0.5), 1e-5, 1e-4));
}

TEST_P(PackedTensor, AutogradKeepsItPacked) {
  at::Tensor x = at::randn({2, GetParam().columns}).requires_grad_();
  for (const at::Tensor& y :
       {at::linear(x, packed), x.mm(packed.t()), at::matmul(x.unsqueeze(0), packed.t())}) {
    y.sum().backward();
  }
  EXPECT_TRUE(is_packed(packed.t()) && is_packed(packed.transpose(0, 1)) &&
              is_packed(packed.permute({1, 0})));
  EXPECT_TRUE(is_packed(packed.detach()) && is_packed(packed.to(at::kBFloat16)));
  EXPECT_EQ(packed.t().sizes(), plain.t().sizes());
  EXPECT_EQ(packed.t().strides(), plain.t().strides());
}

TEST_P(PackedTensor, EveryOtherOperatorGetsItInFullWidth) {
  EXPECT_TRUE(at::equal(packed + 1, plain + 1));
  EXPECT_TRUE(at::equal(packed, plain));
  EXPECT_TRUE(at::equal(packed.clone(), plain));
  EXPECT_TRUE(at::equal(packed.narrow(0, 1, 2), plain.narrow(0, 1, 2)));
  EXPECT_TRUE(at::equal(packed.select(0, 1), plain.select(0, 1)));
  EXPECT_TRUE(at::equal(packed.reshape({-1}), plain.reshape({-1})));
  EXPECT_TRUE(at::equal(at::cat({packed, plain}), at::cat({plain, plain})));
  EXPECT_TRUE(at::equal(packed.norm(2, {1}), plain.norm(2, {1})));
  EXPECT_TRUE(at::equal(at::linalg_norm(packed), at::linalg_norm(plain)));
  EXPECT_TRUE(at::equal(packed.to(at::kDouble) * 2, plain.to(at::kDouble) * 2));
  EXPECT_TRUE(at::equal(packed.abs().sum(), plain.abs().sum()));
  EXPECT_TRUE(at::isfinite(packed).all().item<bool>());
  EXPECT_TRUE(at::equal(at::zeros_like(packed), at::zeros_like(plain)));
  const at::Tensor index = at::tensor({2, 0, 2}, at::kLong);
  EXPECT_TRUE(at::equal(at::embedding(packed, index), at::embedding(plain, index)));
  EXPECT_TRUE(at::equal(packed.index_select(1, index), plain.index_select(1, index)));
}

TEST_P(PackedTensor, OperatorsWithGradientsOfOthersTakeIt) {
  at::Tensor delta = at::zeros_like(plain).requires_grad_();
  at::Tensor other = at::zeros_like(plain).requires_grad_();
  const at::Tensor x = at::randn({3, GetParam().columns});
  at::linear(x, packed + delta).square().sum().backward();
  at::linear(x, plain + other).square().sum().backward();
  EXPECT_LT(far(delta.grad(), other.grad()).item<double>(), 1e-3);
}

TEST_P(PackedTensor, HalfPrecisionIsRoundedOnce) {
  const at::Tensor half = packed.to(at::kBFloat16);
  EXPECT_EQ(half.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(half.clone(), plain.to(at::kBFloat16)));
  const at::Tensor x = at::randn({4, GetParam().columns}).to(at::kBFloat16);
  const at::Tensor expected = at::linear(x, plain.to(at::kBFloat16));
  EXPECT_LT(far(at::linear(x, half), expected).item<double>(),
            0.02 * expected.abs().max().item<double>());
}

TEST_P(PackedTensor, CannotBeWrittenTo) {
  for (const auto& write : {+[](at::Tensor t) { t.zero_(); }, +[](at::Tensor t) { t.add_(1); },
                            +[](at::Tensor t) { t.copy_(at::zeros_like(t)); }}) {
    try {
      write(packed);
      ADD_FAILURE() << "it was written to";
    } catch (const c10::Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("a quantised weight is frozen and cannot be written to"));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Formats, PackedTensor,
    testing::Values(Case{PackedFormat::kInt8, 48, 64}, Case{PackedFormat::kInt8, 9, 13},
                    Case{PackedFormat::kNf4, 48, 64}, Case{PackedFormat::kNf4, 9, 13},
                    Case{PackedFormat::kNf4, 300, 65}, Case{PackedFormat::kNf4, 6, 9000}),
    [](const auto& one) {
      return std::string(name_of(one.param.format)) + "_" + std::to_string(one.param.rows) + "_" +
             std::to_string(one.param.columns);
    });

}  // namespace
}  // namespace tenon
