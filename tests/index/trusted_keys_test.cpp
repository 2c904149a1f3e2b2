#include "index/trusted_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/ed25519.h"
#include "support/error_matchers.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;
using testing::TempDir;

const std::string kUrl = "https://acme.example/index.json";

TEST(TrustedKeysTest, WhatIsWrittenIsReadBackWithTheCopyOfTheIndex) {
  const TempDir data;
  EXPECT_FALSE(read_trusted_keys(data.path()).has("ed25519:one"));
  const TrustedKeys trusted{{{"ed25519:one", "2026-01-31T12:00:00Z"}}, {{kUrl, "ed25519:one", 7}}};
  write_trusted_keys(data.path(), trusted, IndexCopy{kUrl, "{}"});
  const TrustedKeys read = read_trusted_keys(data.path());
  EXPECT_TRUE(read.has("ed25519:one"));
  ASSERT_NE(read.known(kUrl), nullptr);
  EXPECT_EQ(read.known(kUrl)->serial, 7);
  EXPECT_EQ(known_copy(data.path(), kUrl), "{}");
  EXPECT_EQ(known_copy(data.path(), kUrl + "x"), std::nullopt);
}

TEST(TrustedKeysTest, AListThatOthersCouldHaveChangedIsNotTaken) {
  const TempDir data;
  write_trusted_keys(data.path(), {});
  const auto file = trust_folder(data.path()) / "keys.json";
  std::filesystem::permissions(file, std::filesystem::perms(0666));
  EXPECT_THAT(error_text([&] { read_trusted_keys(data.path()); }),
              HasSubstr("can be changed by any user"));
}

TEST(TrustedKeysTest, ADamagedListIsNamed) {
  const TempDir data;
  data.write("trust/keys.json", R"({"format": 1, "keys": [{"key": 3}], "indexes": []})");
  EXPECT_THAT(error_text([&] { read_trusted_keys(data.path()); }),
              HasSubstr("the list of trusted keys is damaged"));
}

TEST(TrustedKeysTest, UnknownChangedAndOlderAreRefusedWithTheNextStep) {
  const SignedIndex index{"ed25519:two", {"Acme", 7, {}}, ""};
  const auto refusal = [&](const TrustedKeys& trusted) {
    return error_text([&] { require_trusted(trusted, index, kUrl); });
  };
  EXPECT_THAT(refusal({}), HasSubstr("signed by ed25519:two, which you do not trust"));
  EXPECT_THAT(refusal({}), HasSubstr("type: tenon plugin trust ed25519:two"));
  const TrustedKeys changed{{{"ed25519:two", ""}}, {{kUrl, "ed25519:one", 1}}};
  EXPECT_THAT(refusal(changed),
              HasSubstr("signed by ed25519:two, and it was by ed25519:one until now"));
  EXPECT_THAT(refusal(changed), HasSubstr("tenon plugin trust ed25519:two --index " + kUrl));
  EXPECT_THAT(refusal({{{"ed25519:two", ""}}, {{kUrl, "ed25519:two", 8}}}),
              HasSubstr("older than the one that was here before (7, then 8)"));
  require_trusted({{{"ed25519:two", ""}}, {{kUrl, "ed25519:two", 7}}}, index, kUrl);
}

TEST(TrustedKeysTest, AnAddressIsTheSameByItsFolder) {
  EXPECT_EQ(index_address("https://acme.example"), kUrl);
  EXPECT_EQ(index_address("https://acme.example/"), kUrl);
  EXPECT_EQ(index_address(kUrl), kUrl);
  EXPECT_EQ(index_address("file:///srv/plugins"), "file:///srv/plugins/index.json");
  EXPECT_THAT(error_text([] { index_address("ftp://acme.example"); }), HasSubstr("starts with"));
  EXPECT_THAT(error_text([] { index_address("https://me:secret@acme.example"); }),
              HasSubstr("has a user's name in it"));
}

}  // namespace
}  // namespace tenon
