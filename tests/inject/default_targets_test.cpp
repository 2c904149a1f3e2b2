#include "inject/default_targets.h"

#include <gmock/gmock.h>

namespace tenon {
namespace {

TEST(DefaultTargets, ModelTypeIsReadOffTheRootsClass) {
  const std::string models = "transformers.models.";
  EXPECT_EQ(model_type_of(models + "bert.modeling_bert.BertForSequenceClassification"), "bert");
  EXPECT_EQ(model_type_of(models + "xlm_roberta.modeling_xlm_roberta.XLMRobertaModel"),
            "xlm-roberta");
  EXPECT_EQ(model_type_of(models + "gpt_neox.modeling_gpt_neox.GPTNeoXForCausalLM"), "gpt_neox");
  EXPECT_EQ(model_type_of(models + "gemma3.modeling_gemma3.Gemma3ForCausalLM"), "gemma3_text");
  EXPECT_EQ(model_type_of("transformers_modules.org.glm.modeling_chatglm.ChatGLMModel"), "chatglm");
  EXPECT_EQ(model_type_of("models.MLP"), "");
  EXPECT_EQ(model_type_of("torch.nn.Sequential"), "");
  EXPECT_EQ(model_type_of(""), "");
}

TEST(DefaultTargets, TypesHaveTheirCustoms) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(default_targets("bert"), ModuleRule(Names{"query", "value"}));
  EXPECT_EQ(default_targets("mistral"), ModuleRule(Names{"q_proj", "v_proj"}));
  EXPECT_EQ(default_targets("gemma4"),
            ModuleRule(Regex{R"(.*language_model\..*\.(q_proj|v_proj))"}));
  EXPECT_EQ(default_targets("resnet"), std::nullopt);
  EXPECT_EQ(default_targets(""), std::nullopt);
}

}  // namespace
}  // namespace tenon
