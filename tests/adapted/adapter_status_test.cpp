#include "adapted/adapter_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/lora_model.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::lora;
using testing::LoraModel;
using ::testing::Pair;

const LayerStatus& layer(const ModelStatus& status, const std::string& name) {
  for (const LayerStatus& each : status.layers) {
    if (each.name == name) return each;
  }
  throw std::out_of_range(name);
}

TEST(AdapterStatus, ALayerListsWhatIsOnIt) {
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.0", "seq.2"})});
  const ModelStatus status = status_of(made.model);
  ASSERT_EQ(status.layers.size(), 2);
  const LayerStatus& first = status.layers[0];
  EXPECT_EQ(first.name, "seq.0");
  EXPECT_EQ(first.type, "torch.nn.Linear");
  EXPECT_EQ(first.plugin, "tenon.lora-linear");
  EXPECT_TRUE(first.enabled);
  EXPECT_THAT(first.active, ElementsAre("a"));
  EXPECT_THAT(first.merged, IsEmpty());
  EXPECT_THAT(first.available, ElementsAre("a", "b"));
  EXPECT_THAT(first.trained, ElementsAre(Pair("a", Trained::kAll), Pair("b", Trained::kNone)));
  EXPECT_THAT(first.dtypes.at("a"), ElementsAre("float32"));
  EXPECT_THAT(first.devices.at("a"), ElementsAre("cpu"));
  EXPECT_THAT(status.layers[1].active, IsEmpty());
  EXPECT_THAT(status.layers[1].available, ElementsAre("b"));
}

TEST(AdapterStatus, TheModelIsTheSumOfItsLayers) {
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.2"})});
  made.model.set_active({"b", "a"}, /*trainable=*/false);
  made.model.set_trainable("b", true);
  const ModelStatus status = status_of(made.model);
  EXPECT_THAT(status.active, ElementsAre("b", "a"));
  EXPECT_THAT(status.available, ElementsAre("a", "b"));
  EXPECT_THAT(status.trained, ElementsAre(Pair("a", Trained::kNone), Pair("b", Trained::kAll)));
  EXPECT_EQ(status.trainable_params, 2 * (8 + 8));
  EXPECT_EQ(status.peft_types.at("a"), "LORA");
}

TEST(AdapterStatus, MergedAndDisabledAdaptersAreToldApart) {
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.0"})});
  made.model.merge({"b"});
  EXPECT_THAT(layer(status_of(made.model), "seq.0").merged, ElementsAre("b"));
  made.model.set_enabled(false);
  EXPECT_FALSE(status_of(made.model).enabled);
  EXPECT_FALSE(layer(status_of(made.model), "seq.0").enabled);
}

TEST(AdapterStatus, AModuleThatIsSavedWholeIsALayerWithoutAPlugin) {
  AdapterConfig config = lora("a", {"seq.0"});
  config.modules_to_save = {"seq.4"};
  LoraModel made({config});
  const LayerStatus saved = layer(status_of(made.model), "seq.4");
  EXPECT_EQ(saved.plugin, "");
  EXPECT_EQ(saved.type, "torch.nn.Linear");
  EXPECT_THAT(saved.trained, ElementsAre(Pair("a", Trained::kAll)));
}

TEST(AdapterStatus, PartlyFrozenAdaptersAreTrainedInPart) {
  LoraModel made({lora("a", {"seq.0"})});
  for (const AddedTensor& added : made.model.adapter("a").tensors) {
    if (added.name != "lora_A.weight") continue;
    const at::Tensor tensor = added.tensor;
    tensor.set_requires_grad(false);
  }
  EXPECT_EQ(status_of(made.model).trained.at("a"), Trained::kSome);
}

}  // namespace
}  // namespace tenon
