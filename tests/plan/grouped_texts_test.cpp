#include "plan/grouped_texts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tenon {
namespace {

using ::testing::ElementsAre;

TEST(GroupedTexts, WhatIsSaidOfManyModulesIsSaidOnce) {
  GroupedTexts texts;
  for (const char* path : {"a", "b", "c", "d", "e"}) {
    texts.add(path, std::string("acme.Odd at `") + path + "` is not supported");
  }
  texts.add("f", "acme.Even at `f` is not supported");
  EXPECT_EQ(texts.size(), 6U);
  EXPECT_THAT(texts.texts(), ElementsAre("acme.Odd at `a` (and `b`, `c`, 2 more) is not supported",
                                         "acme.Even at `f` is not supported"));
}

TEST(GroupedTexts, AFewModulesAreAllNamed) {
  GroupedTexts texts;
  texts.add("a", "`a` is left out");
  EXPECT_THAT(texts.texts(), ElementsAre("`a` is left out"));
  texts.add("b", "`b` is left out");
  EXPECT_THAT(texts.texts(), ElementsAre("`a` (and `b`) is left out"));
  texts.add("c", "`c` is left out");
  EXPECT_THAT(texts.texts(), ElementsAre("`a` (and `b`, `c`) is left out"));
}

TEST(GroupedTexts, TextsThatNameNoModuleAreToldOnceToo) {
  GroupedTexts texts;
  texts.add("a", "the plugin is missing");
  texts.add("b", "the plugin is missing");
  EXPECT_THAT(texts.texts(), ElementsAre("the plugin is missing"));
}

}  // namespace
}  // namespace tenon
