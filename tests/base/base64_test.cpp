#include "base/base64.h"

#include <gtest/gtest.h>

namespace tenon {
namespace {

// Of RFC 4648, section 10.
TEST(Base64Test, WritesAndReadsTheExamplesOfTheStandard) {
  for (const auto& [bytes, text] : {std::pair{"", ""},
                                    {"f", "Zg=="},
                                    {"fo", "Zm8="},
                                    {"foo", "Zm9v"},
                                    {"foob", "Zm9vYg=="},
                                    {"fooba", "Zm9vYmE="},
                                    {"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_EQ(from_base64(text), bytes);
  }
}

TEST(Base64Test, WhatHasTwoReadingsIsRefused) {
  for (const char* text : {"Zg=", "Zg", "Zh==", "Zg==Zg==", "Z g=", "====", "Zm9v\n", "Zm8=="}) {
    EXPECT_EQ(from_base64(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace tenon
