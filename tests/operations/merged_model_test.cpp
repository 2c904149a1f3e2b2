#include "operations/merged_model.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "support/lora_model.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::lora;
using testing::LoraModel;
using testing::same;
using ::testing::UnorderedElementsAre;

std::map<std::string, at::Tensor> state_of(const AdaptedModel& model) {
  const NamedTensors named = merged_state(model, merged_model(model));
  return {named.begin(), named.end()};
}

TEST(MergedModel, NamesWhatChangedAndKeepsTheRest) {
  LoraModel made({lora("a", {"seq.0"})});
  made.model.merge({"a"});
  const MergedModel merged = merged_model(made.model);
  EXPECT_THAT(merged.names, ElementsAre("seq.0.weight"));
  EXPECT_TRUE(merged.untied.empty());
  const auto state = state_of(made.model);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : state) names.push_back(name);
  EXPECT_THAT(names, UnorderedElementsAre("seq.0.weight", "seq.0.bias", "seq.2.weight",
                                          "seq.2.bias", "seq.4.weight", "seq.4.bias"));
  EXPECT_FALSE(same(state.at("seq.0.weight"), made.weight("seq.0.weight")));
  EXPECT_TRUE(same(state.at("seq.2.weight"), made.weight("seq.2.weight")));
}

TEST(MergedModel, TheStateRunsAsTheAdaptedModelDid) {
  LoraModel made({lora("a", {"seq.0", "seq.2"})});
  const at::Tensor adapted = made.run();
  made.model.merge({"a"});
  const auto state = state_of(made.model);
  at::Tensor x = made.input;
  for (const char* layer : {"seq.0", "seq.2", "seq.4"}) {
    const std::string name = layer;
    x = at::linear(x, state.at(name + ".weight"), state.at(name + ".bias"));
    if (name == "seq.0") x = at::relu(x);
  }
  EXPECT_TRUE(at::allclose(x, adapted, 1e-5, 1e-6));
}

TEST(MergedModel, ATiedWeightThatOneLayerChangesIsNoLongerTied) {
  AdaptedModel model(testing::tied_model());
  model.add_adapter(plan_injection(model.model(), lora("a", {"head"}), testing::built_in_plugins()),
                    1);
  model.merge({"a"});
  EXPECT_THAT(merged_model(model).untied, ::testing::Contains("head.weight"));
  const auto state = state_of(model);
  EXPECT_FALSE(same(state.at("head.weight"), state.at("words.weight")));
}

}  // namespace
}  // namespace tenon
