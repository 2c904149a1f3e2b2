#include "start/layer_calls.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace tenon
