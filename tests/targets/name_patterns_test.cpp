#include "targets/name_patterns.h"

#include <gmock/gmock.h>

namespace tenon {
namespace {

using ::testing::ElementsAre;

using Ranks = NamePatterns<std::int64_t>;

TEST(NamePatterns, FirstThatFitsDecides) {
  const Ranks ranks("rank_pattern", {{"layers.1.q_proj", 2}, {"q_proj", 4}});
  EXPECT_EQ(ranks.value("encoder.layers.1.q_proj"), 2);
  EXPECT_EQ(ranks.value("encoder.layers.0.q_proj"), 4);
  EXPECT_EQ(ranks.value("head"), std::nullopt);
}

TEST(NamePatterns, ExpressionFitsAWholePathOrWhatFollowsADot) {
  const Ranks ranks("rank_pattern", {{"foo", 1}, {"^bar", 2}, {"^module.baz", 3}, {"a|b", 4}});
  EXPECT_EQ(ranks.value("foo"), 1);
  EXPECT_EQ(ranks.value("module.foo"), 1);
  EXPECT_EQ(ranks.value("module.xfoo"), std::nullopt);
  EXPECT_EQ(ranks.value("bar"), 2);
  EXPECT_EQ(ranks.value("module.bar"), std::nullopt);
  EXPECT_EQ(ranks.value("module.baz"), 3);
  EXPECT_EQ(ranks.value("x.module.baz"), std::nullopt);
  EXPECT_EQ(ranks.value("x.b"), 4);
}

TEST(NamePatterns, WhatFitsNoPathIsUnused) {
  const Ranks ranks("rank_pattern", {{"foo", 1}, {"zz", 2}, {".*o", 3}});
  EXPECT_THAT(ranks.unused({"a.foo"}), ElementsAre("zz"));
}

}  // namespace
}  // namespace tenon
