#include "config/problems.h"

#include <gtest/gtest.h>

#include "support/error_matchers.h"

namespace tenon {
namespace {

using testing::error_text;

TEST(Problems, ThrowNothingWhereThereAreNone) {
  const Problems problems;
  EXPECT_TRUE(problems.empty());
  EXPECT_NO_THROW(problems.throw_if_any("c.toml"));
}

TEST(Problems, OrderByPlaceWithTheCommandLineLast) {
  Problems problems;
  problems.add({.overridden = true, .line = 1, .column = 1, .text = "--set a.b"}, "four");
  problems.add({.line = 10, .column = 2, .text = "c.toml:10:2"}, "three");
  problems.add({.line = 2, .column = 5, .text = "c.toml:2:5"}, "two");
  problems.add({.text = "c.toml"}, "one");
  EXPECT_EQ(error_text([&] { problems.throw_if_any("c.toml"); }),
            "4 problems in c.toml\nc.toml: one\nc.toml:2:5: two\nc.toml:10:2: three\n"
            "--set a.b: four");
}

}  // namespace
}  // namespace tenon
