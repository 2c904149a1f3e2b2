#include "base/hash.h"

#include <gtest/gtest.h>

#include <vector>

namespace tenon {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

struct ShaCase {
  std::string text;
  std::string digest;

  friend void PrintTo(const ShaCase& sha, std::ostream* out) {
    *out << sha.text.size() << " bytes";
  }
};

class Sha256 : public ::testing::TestWithParam<ShaCase> {};

TEST_P(Sha256, GivesThePublishedDigest) {
  EXPECT_EQ(sha256_hex(GetParam().text), GetParam().digest);
  EXPECT_EQ(sha256_hex(bytes_of(GetParam().text)), GetParam().digest);
}

// FIPS 180-4's examples; lengths 55, 56, 63 and 64 are the edges of the padding (Python's hashlib).
INSTANTIATE_TEST_SUITE_P(
    KnownVectors, Sha256,
    ::testing::Values(
        ShaCase{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        ShaCase{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        ShaCase{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        ShaCase{std::string(1'000'000, 'a'),
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
        ShaCase{std::string(55, 'x'),
                "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072"},
        ShaCase{std::string(56, 'x'),
                "04c26261370ee7541549d16dee320c723e3fd14671e66a099afe0a377c16888e"},
        ShaCase{std::string(63, 'x'),
                "75220b47218278e656f2013bb8f0c455a25eaf01e86c64924e9d48d89776d6f2"},
        ShaCase{std::string(64, 'x'),
                "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c"}));

TEST(Crc32, GivesTheCheckValueOfZip) {
  EXPECT_EQ(crc32(bytes_of("123456789")), 0xCBF43926u);
  EXPECT_EQ(crc32({}), 0u);
}

// One bit at a time, as the polynomial is defined.
std::uint32_t crc32_by_bits(std::span<const std::byte> bytes) {
  std::uint32_t crc = 0xffffffffu;
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
  }
  return ~crc;
}

TEST(Crc32, EqualsTheBitwiseDefinitionAtEveryLengthAndAlignment) {
  std::vector<std::byte> data(400);  // more than the lanes of the fast way
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 37 + 11);
  for (std::size_t start = 0; start < 8; ++start) {
    for (std::size_t size = 0; start + size <= data.size(); ++size) {
      const std::span<const std::byte> part(data.data() + start, size);
      ASSERT_EQ(crc32(part), crc32_by_bits(part)) << "start " << start << " size " << size;
    }
  }
}

}  // namespace
}  // namespace tenon
