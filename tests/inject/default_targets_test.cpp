#include "inject/default_targets.h"

#include <gmock/gmock.h>

namespace tenon {
namespace {

using Names = std::vector<std::string>;

// As a method's plugin has them.
DefaultTargets customs() {
  return {{"bert", Names{"query", "value"}},
          {"xlm-roberta", Names{"query", "value"}},
          {"gemma4", Regex{R"(.*language_model\..*\.(q_proj|v_proj))"}}};
}

TEST(DefaultTargets, ModelTypeIsReadOffTheRootsClass) {
  const std::string models = "transformers.models.";
  EXPECT_EQ(model_type_of(models + "bert.modeling_bert.BertForSequenceClassification", customs()),
            "bert");
  EXPECT_EQ(model_type_of(models + "xlm_roberta.modeling_xlm_roberta.XLMRobertaModel", customs()),
            "xlm-roberta");
  EXPECT_EQ(model_type_of(models + "gpt_neox.modeling_gpt_neox.GPTNeoXForCausalLM", customs()),
            "gpt_neox");
  EXPECT_EQ(model_type_of(models + "gemma3.modeling_gemma3.Gemma3ForCausalLM", customs()),
            "gemma3_text");
  EXPECT_EQ(model_type_of("transformers_modules.org.glm.modeling_chatglm.ChatGLMModel", customs()),
            "chatglm");
  EXPECT_EQ(model_type_of("models.MLP", customs()), "");
  EXPECT_EQ(model_type_of("torch.nn.Sequential", customs()), "");
  EXPECT_EQ(model_type_of("", customs()), "");
}

TEST(DefaultTargets, TypesHaveTheirCustoms) {
  EXPECT_EQ(default_targets("bert", customs()), ModuleRule(Names{"query", "value"}));
  EXPECT_EQ(default_targets("gemma4", customs()),
            ModuleRule(Regex{R"(.*language_model\..*\.(q_proj|v_proj))"}));
  EXPECT_EQ(default_targets("resnet", customs()), std::nullopt);
  EXPECT_EQ(default_targets("", customs()), std::nullopt);
}

}  // namespace
}  // namespace tenon
