#include "app/first_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "declared/declared_model.h"

namespace tenon {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Layers of the declared kind, 4 numbers wide, and one to `classes`.
ModelData layers(const std::vector<std::string>& names, std::int64_t classes) {
  ModelConfig config;
  for (const std::string& name : names) {
    const std::int64_t out = name == names.back() ? classes : 4;
    config.layers.push_back(
        {name, "Linear", {{"in_features", std::int64_t{4}}, {"out_features", out}}, "test"});
  }
  return build_declared_model(config);
}

std::string config_for(const ModelData& model) {
  return first_config(model, "the \"model\".pt2", {"lora", "r", "lora_alpha"},
                      [](const std::string& type) { return type == "torch.nn.Linear"; });
}

TEST(FirstConfig, NamesWhatCanBeAdaptedAndHowOften) {
  const std::string text =
      config_for(layers({"layers.0.query", "layers.1.query", "mlp.0", "head"}, 3));
  EXPECT_THAT(text, HasSubstr("path = \"the \\\"model\\\".pt2\"\n"));
  EXPECT_THAT(text, HasSubstr("#   query  torch.nn.Linear, 2 of them\n"));
  EXPECT_THAT(text, HasSubstr("#   mlp.0  torch.nn.Linear\n")) << "a number alone names nothing";
  EXPECT_THAT(text, Not(HasSubstr("#   head"))) << "the output layer is no target";
  EXPECT_THAT(text, HasSubstr("target_modules = \"all-linear\""));
  EXPECT_THAT(text, HasSubstr("# modules_to_save = [\"head\"]"));
}

TEST(FirstConfig, LossFitsTheOutput) {
  EXPECT_THAT(config_for(layers({"first", "last"}, 3)), HasSubstr("loss = \"cross_entropy\""));
  EXPECT_THAT(config_for(layers({"first", "last"}, 1)), HasSubstr("loss = \"mse\""));
}

TEST(FirstConfig, ModelOfWhichNothingCanBeAdaptedIsAnError) {
  try {
    first_config(layers({"first", "last"}, 3), "model.pt2", {"lora", "r", "lora_alpha"},
                 [](const std::string&) { return false; });
    FAIL() << "nothing is adapted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("no layer of this model is of a type that a plugin adapts"));
    EXPECT_THAT(error.what(), HasSubstr("tenon plugins"));
  }
}

}  // namespace
}  // namespace tenon
