#include "capture/captured_model.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "capture/mlp_model.h"
#include "interpreter/interpreter.h"
#include "support/error_matchers.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> operators(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes) names.push_back(node.target);
  return names;
}

TEST(CaptureModel, MlpIsItsOperatorsInOrder) {
  Mlp mlp;
  const CapturedModel captured = capture_model(callable_model(mlp, {at::randn({4, 20})}));
  EXPECT_THAT(operators(captured.data.graph),
              ElementsAre("aten::t", "aten::addmm", "aten::relu", "aten::t", "aten::addmm",
                          "aten::relu", "aten::t", "aten::addmm", "aten::log_softmax"));
  EXPECT_THAT(captured.notes, ElementsAre());
}

}  // namespace
}  // namespace tenon
