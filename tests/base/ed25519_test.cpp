#include "base/ed25519.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error_matchers.h"

namespace tenon {
namespace {

std::string from_hex(const std::string& digits) {
  std::string bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

// RFC 8032, section 7.1, test 2.
const std::string kSecret =
    from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
const std::string kPublic =
    from_hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
const std::string kMessage = from_hex("72");
const std::string kSignature = from_hex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");

TEST(Ed25519Test, GivesTheSignatureOfTheStandard) {
  EXPECT_EQ(public_key_of(kSecret), kPublic);
  EXPECT_EQ(sign(kSecret, kMessage), kSignature);
  EXPECT_TRUE(is_signed_by(kPublic, kMessage, kSignature));
}

TEST(Ed25519Test, AnotherMessageKeyOrSignatureIsNotTaken) {
  EXPECT_FALSE(is_signed_by(kPublic, "s", kSignature));
  EXPECT_FALSE(is_signed_by(public_key_of(new_secret()), kMessage, kSignature));
  EXPECT_FALSE(is_signed_by(kPublic, kMessage, kSignature.substr(1)));
  std::string changed = kSignature;
  changed[40] = static_cast<char>(changed[40] ^ 1);
  EXPECT_FALSE(is_signed_by(kPublic, kMessage, changed));
}

TEST(Ed25519Test, AKeyOfAnotherLengthIsNamed) {
  EXPECT_THAT(testing::error_text([] { sign("short", "m"); }), ::testing::HasSubstr("32 bytes"));
}

TEST(Ed25519Test, SecretsDiffer) {
  EXPECT_EQ(new_secret().size(), 32);
  EXPECT_NE(new_secret(), new_secret());
}

}  // namespace
}  // namespace tenon
