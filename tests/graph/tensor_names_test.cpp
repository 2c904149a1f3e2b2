#include "graph/tensor_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tenon {
namespace {

using ::testing::ElementsAre;

TEST(TensorNamesTest, ParentIsWhatStandsBeforeTheLastDot) {
  EXPECT_EQ(parent_path("seq.0.weight"), "seq.0");
  EXPECT_EQ(parent_path("weight"), "");
  EXPECT_EQ(parent_path(""), "");
}

TEST(TensorNamesTest, OwnNameComesBeforeTheAliases) {
  ModelTensor tensor;
  tensor.name = "embed.weight";
  tensor.aliases = {"head.weight", "other.weight"};
  EXPECT_THAT(all_names(tensor), ElementsAre("embed.weight", "head.weight", "other.weight"));
}

}  // namespace
}  // namespace tenon
