#include "pt2/module_paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tenon::pt2 {
namespace {

using ::testing::ElementsAre;

TEST(ModulePaths, AMissingPathGoesBehindItsParentsSubtree) {
  ModulePaths paths;
  for (const char* path : {"a", "a.0", "a.0.x", "b"}) paths.append(path);
  paths.insert("a.1");
  paths.insert("a.0.y");
  paths.insert("a.0");
  EXPECT_THAT(paths.list(), ElementsAre("", "a", "a.0", "a.0.x", "a.0.y", "a.1", "b"));
}

TEST(ModulePaths, MissingParentsAreAddedFirst) {
  ModulePaths paths;
  paths.insert("x.y.z");
  EXPECT_THAT(paths.list(), ElementsAre("", "x", "x.y", "x.y.z"));
}

TEST(CallNumber, IsCutOnlyWhereItIsANumber) {
  EXPECT_EQ(without_call_number("seq.0@12"), "seq.0");
  EXPECT_EQ(without_call_number("seq.0"), "seq.0");
  EXPECT_EQ(without_call_number("a@b"), "a@b");
  EXPECT_EQ(without_call_number("a@"), "a@");
}

TEST(SharedModules, AreNamedByTheFirstOfTheirPathsWithAllThatLiesBelow) {
  SharedModules shared({"", "a", "a.0", "b", "b.0", "c", "c.0"});
  shared.unite("c", "b");
  shared.unite("b", "a");
  EXPECT_EQ(shared.first_name("c.0"), "a.0");
  EXPECT_EQ(shared.first_name("b"), "a");
  EXPECT_EQ(shared.first_name("a"), "a");
}

TEST(SharedModules, WithDifferentChildrenStayApart) {
  SharedModules shared({"", "a", "a.0", "b", "b.1"});
  shared.unite("b", "a");
  EXPECT_EQ(shared.first_name("b"), "b");
  EXPECT_EQ(shared.first_name("b.1"), "b.1");
}

}  // namespace
}  // namespace tenon::pt2
