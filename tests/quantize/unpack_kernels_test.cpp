#include "quantize/unpack_kernels.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <vector>

#include "quantize/unpack_x86.h"

namespace tenon {
namespace {

TEST(UnpackKernels, VectorOnesGiveTheBitsOfThePortableOnes) {
  const UnpackKernels* vector = x86_kernels();
  if (vector == nullptr) GTEST_SKIP() << "no AVX2";
  std::array<float, 16> table{};
  for (int i = 0; i < 16; ++i)
    table[static_cast<std::size_t>(i)] = 0.37F * static_cast<float>(i) - 3;
  std::vector<std::uint8_t> bytes(300);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 89 + 7);
  const auto* numbers = reinterpret_cast<const std::int8_t*>(bytes.data());
  for (const std::int64_t count : {0, 1, 7, 8, 9, 16, 31, 64, 299}) {
    std::vector<float> expected(600, -1);
    std::vector<float> found(600, -1);
    portable_kernels().int8(numbers, count, 0.0123F, expected.data());
    vector->int8(numbers, count, 0.0123F, found.data());
    EXPECT_EQ(found, expected) << "int8, " << count;
    portable_kernels().four_bits(bytes.data(), count, table.data(), 0.77F, expected.data());
    vector->four_bits(bytes.data(), count, table.data(), 0.77F, found.data());
    EXPECT_EQ(found, expected) << "four bits, " << count;
  }
}

}  // namespace
}  // namespace tenon
