#include "start/layer_calls.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/lora_model.h"

namespace tenon {
namespace {

TEST(UsedPositions, AreThoseOfTheAttentionMask) {
  std::vector<InputSpec> inputs(2);
  inputs[1].name = "attention_mask";
  const at::Tensor mask = at::tensor({1, 1, 0, 1, 0, 0}, at::kLong).reshape({2, 3});
  const Batch batch{{at::zeros({2, 3}, at::kLong), mask}, std::nullopt};
  EXPECT_TRUE(used_positions(inputs, batch).equal(mask == 1));
  inputs[1].name = "token_type_ids";
  EXPECT_FALSE(used_positions(inputs, batch).defined());
}

TEST(ObserveCalls, ShowsEachCallOfAnAdaptedLayerAsTheBaseMakesIt) {
  testing::LoraModel adapted({testing::lora("a", {"seq.0", "seq.4"})});
  std::vector<std::string> paths;
  at::Tensor entered;
  at::Tensor given;
  observe_calls(adapted.model, {{adapted.input}, std::nullopt},
                [&](const std::string& path, auto inputs, auto outputs) {
                  paths.push_back(path);
                  if (path == "seq.0") entered = inputs[0].toTensor();
                  if (path == "seq.4") given = outputs[0].toTensor();
                });
  EXPECT_EQ(paths, (std::vector<std::string>{"seq.0", "seq.4"}));
  EXPECT_TRUE(entered.equal(adapted.input));
  EXPECT_TRUE(given.equal(adapted.base()));
  EXPECT_FALSE(given.equal(adapted.run({"a"})));
}

TEST(RecordCalls, GivesTheGradientOfALossInWhatEachLayerGives) {
  testing::LoraModel adapted({testing::lora("a", {"seq.0", "seq.4"})});
  const auto half_square = [](const std::vector<at::Tensor>& outputs) {
    return outputs.front().square().sum() * 0.5;
  };
  const std::vector<RecordedCall> calls =
      record_calls(adapted.model, {{adapted.input}, std::nullopt}, half_square);
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_EQ(calls.front().path, "seq.0");
  EXPECT_TRUE(calls.front().inputs.front().equal(adapted.input));
  for (const RecordedCall& call : calls) {
    EXPECT_EQ(call.gradients.front().sizes(), call.outputs.front().sizes());
    EXPECT_FALSE(call.outputs.front().requires_grad());
    EXPECT_GT(call.gradients.front().abs().sum().item<double>(), 0);
  }
}

TEST(RecordCalls, RefusesALossThatNoLayerReaches) {
  testing::LoraModel adapted({testing::lora("a", {"seq.0"})});
  const auto nothing = [](const std::vector<at::Tensor>&) { return at::zeros({}); };
  EXPECT_THROW(record_calls(adapted.model, {{adapted.input}, std::nullopt}, nothing), Error);
}

}  // namespace
}  // namespace tenon
