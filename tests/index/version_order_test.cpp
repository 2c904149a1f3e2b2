#include "index/version_order.h"

#include <gtest/gtest.h>

namespace tenon {
namespace {

// The chain of semver.org, section 11, with what stands around it.
TEST(VersionOrderTest, VersionsStandAsSemverOrgOrdersThem) {
  const std::vector<std::string> ordered = {
      "0.9.9",      "1.0.0-alpha",  "1.0.0-alpha.1", "1.0.0-alpha.beta",
      "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
      "1.0.0",      "1.0.1",        "1.2.0",         "1.10.0",
      "10.0.0"};
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    for (std::size_t k = 0; k < ordered.size(); ++k) {
      EXPECT_EQ(compare_semantic_versions(ordered[i], ordered[k]) < 0, i < k)
          << ordered[i] << " " << ordered[k];
      EXPECT_EQ(compare_semantic_versions(ordered[i], ordered[k]) == 0, i == k);
    }
  }
}

TEST(VersionOrderTest, WhatStandsBehindAPlusDoesNotCount) {
  EXPECT_TRUE(compare_semantic_versions("1.0.0+a", "1.0.0+b") == 0);
  EXPECT_TRUE(compare_semantic_versions("1.0.0-rc.1+a", "1.0.0-rc.1") == 0);
}

TEST(VersionOrderTest, AbiVersionsAreNumbers) {
  EXPECT_TRUE(compare_abi("1.9", "1.10") < 0);
  EXPECT_TRUE(compare_abi("2.0", "1.10") > 0);
  EXPECT_TRUE(compare_abi("1.0", "1.0") == 0);
}

}  // namespace
}  // namespace tenon
