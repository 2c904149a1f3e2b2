#include "targets/default_targets.h"

#include <gmock/gmock.h>

namespace tenon {
namespace {

using Names = std::vector<std::string>;

// As a method's plugin has them.
DefaultTargets presets() {
  return {{"bert", Names{"query", "value"}},
          {"xlm-roberta", Names{"query", "value"}},
          {"gemma4", Regex{R"(.*language_model\..*\.(q_proj|v_proj))"}}};
}

TEST(DefaultTargets, ModelTypeIsReadOffTheRootsClass) {
  const std::string models = "transformers.models.";
  EXPECT_EQ(model_type_of(models + "bert.modeling_bert.BertForSequenceClassification", presets()),
            "bert");
  EXPECT_EQ(model_type_of(models + "xlm_roberta.modeling_xlm_roberta.XLMRobertaModel", presets()),
            "xlm-roberta");
  EXPECT_EQ(model_type_of(models + "gpt_neox.modeling_gpt_neox.GPTNeoXForCausalLM", presets()),
            "gpt_neox");
  EXPECT_EQ(model_type_of(models + "gemma3.modeling_gemma3.Gemma3ForCausalLM", presets()),
            "gemma3_text");
  EXPECT_EQ(model_type_of("transformers_modules.org.glm.modeling_chatglm.ChatGLMModel", presets()),
            "chatglm");
  EXPECT_EQ(model_type_of("models.MLP", presets()), "");
  EXPECT_EQ(model_type_of("torch.nn.Sequential", presets()), "");
  EXPECT_EQ(model_type_of("", presets()), "");
}

TEST(DefaultTargets, TypesHaveTheirPresets) {
  EXPECT_EQ(default_targets("bert", presets()), ModuleRule(Names{"query", "value"}));
  EXPECT_EQ(default_targets("gemma4", presets()),
            ModuleRule(Regex{R"(.*language_model\..*\.(q_proj|v_proj))"}));
  EXPECT_EQ(default_targets("resnet", presets()), std::nullopt);
  EXPECT_EQ(default_targets("", presets()), std::nullopt);
}

}  // namespace
}  // namespace tenon
