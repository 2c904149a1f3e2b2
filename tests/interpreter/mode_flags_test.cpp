#include "interpreter/mode_flags.h"

#include <gmock/gmock.h>

namespace tenon {
namespace {

Node batch_norm(bool with_statistics) {
  Node node;
  node.target = "aten::batch_norm";
  Argument mean{Argument::None{}};
  if (with_statistics) mean.value = ValueId{1};
  node.arguments = {
      {"input", {ValueId{0}}}, {"running_mean", mean}, {"training", {c10::IValue(true)}}};
  return node;
}

TEST(ModeFlag, BatchNormFollowsTheModeOfTheRun) {
  EXPECT_EQ(mode_flag(batch_norm(true), "training"), Operand::Kind::kBatchNormTraining);
}

TEST(ModeFlag, BatchNormWithoutStatisticsNormalisesByTheBatchInEveryMode) {
  EXPECT_EQ(mode_flag(batch_norm(false), "training"), std::nullopt);
}

TEST(ModeFlag, InstanceNormThatKeepsStatisticsFollowsTheModeOfTheRun) {
  Node node = batch_norm(true);
  node.target = "aten::instance_norm";
  node.arguments.back().name = "use_input_stats";
  EXPECT_EQ(mode_flag(node, "use_input_stats"), Operand::Kind::kBatchNormTraining);
  node.arguments[1].value = {Argument::None{}};
  EXPECT_EQ(mode_flag(node, "use_input_stats"), std::nullopt);
}

}  // namespace
}  // namespace tenon
