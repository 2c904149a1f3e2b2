#include "model/fingerprint.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/hash.h"

namespace tenon {
namespace {

ModelTensor parameter(const std::string& name, const at::Tensor& tensor) {
  ModelTensor entry;
  entry.name = name;
  entry.tensor = tensor;
  return entry;
}

std::vector<ModelTensor> small_model() {
  return {parameter("b", at::arange(6, at::kFloat).reshape({2, 3})),
          parameter("a", at::ones({4}, at::kBFloat16))};
}

TEST(FingerprintTest, IsTheDocumentedHashOfTheSortedLines) {
  const float values[] = {0, 1, 2, 3, 4, 5};
  const std::uint16_t ones[] = {0x3F80, 0x3F80, 0x3F80, 0x3F80};
  const std::string lines = "a BF16 4 " + std::to_string(crc32(std::as_bytes(std::span(ones)))) +
                            "\n" + "b F32 2,3 " +
                            std::to_string(crc32(std::as_bytes(std::span(values)))) + "\n";
  EXPECT_EQ(base_fingerprint(small_model()), "crc32-sha256:" + sha256_hex(lines));
}

TEST(FingerprintTest, OrderStridesAndAliasesDoNotCount) {
  const std::string expected = base_fingerprint(small_model());
  std::vector<ModelTensor> other = small_model();
  std::reverse(other.begin(), other.end());
  other[1].tensor = other[1].tensor.t().contiguous().t();
  other[1].aliases = {"tied"};
  EXPECT_EQ(base_fingerprint(other), expected);
}

TEST(FingerprintTest, BuffersAndConstantsDoNotCount) {
  std::vector<ModelTensor> other = small_model();
  for (const ValueKind kind : {ValueKind::kBuffer, ValueKind::kConstant}) {
    other.push_back(parameter("extra", at::ones({2})));
    other.back().kind = kind;
  }
  EXPECT_EQ(base_fingerprint(other), base_fingerprint(small_model()));
}

TEST(FingerprintTest, NameDtypeShapeAndValuesCount) {
  const std::string expected = base_fingerprint(small_model());
  std::vector<ModelTensor> renamed = small_model();
  renamed[0].name = "c";
  EXPECT_NE(base_fingerprint(renamed), expected);
  std::vector<ModelTensor> reshaped = small_model();
  reshaped[0].tensor = reshaped[0].tensor.reshape({3, 2});
  EXPECT_NE(base_fingerprint(reshaped), expected);
  std::vector<ModelTensor> retyped = small_model();
  retyped[0].tensor = retyped[0].tensor.view(at::kInt);
  EXPECT_NE(base_fingerprint(retyped), expected);
  std::vector<ModelTensor> changed = small_model();
  changed[0].tensor[0][0] = 9;
  EXPECT_NE(base_fingerprint(changed), expected);
}

TEST(FingerprintTest, KnownChecksumIsUsedInsteadOfTheBytes) {
  std::vector<ModelTensor> known = small_model();
  known[0].crc32 = crc32(
      {static_cast<const std::byte*>(known[0].tensor.const_data_ptr()), known[0].tensor.nbytes()});
  known[0].tensor = at::zeros({2, 3});
  EXPECT_EQ(base_fingerprint(known), base_fingerprint(small_model()));
}

}  // namespace
}  // namespace tenon
