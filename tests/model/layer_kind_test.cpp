#include "model/layer_kind.h"

#include <ATen/ops/ones.h>

#include <algorithm>

#include "support/error_matchers.h"
#include "support/graph_edits.h"
#include "support/lora_model.h"

namespace tenon {
namespace {

using testing::calls_of;
using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using testing::scaled_model;
using testing::small_mlp;

TEST(LayerKind, ModuleThatRunsOneOperatorOnItsOwnWeightIsThatOperatorsLayer) {
  ModelData model = small_mlp();
  EXPECT_EQ(layer_kind(model, calls_of(model, "seq.0")), "torch.nn.Linear");
  EXPECT_EQ(layer_kind(model, calls_of(model, "seq.1")), "") << "an activation has no weight";
  EXPECT_EQ(layer_kind(model, calls_of(model, "seq")), "") << "three layers are no layer";
  EXPECT_EQ(layer_kind(model, {}), "") << "what never runs is nothing";
  std::ranges::find(model.tensors, "seq.0.weight", &ModelTensor::name)->name = "seq.0.kernel";
  EXPECT_EQ(layer_kind(model, calls_of(model, "seq.0")), "") << "a plugin looks for `weight`";
}

TEST(LayerKind, EmbeddingTimesItsOwnFactorIsAScaledEmbedding) {
  const auto is_scaled = [](const ModelData& model) {
    return is_scaled_embedding(model, calls_of(model, "words"));
  };
  EXPECT_TRUE(is_scaled(scaled_model("acme.Embedding")));
  EXPECT_TRUE(is_scaled(scaled_model("acme.BartScaledWordEmbedding", 4.0)));
  EXPECT_FALSE(is_scaled(scaled_model("acme.Embedding", 4.0)))
      << "PEFT takes no number for a factor that it does not know by its name";
  EXPECT_FALSE(is_scaled(testing::tied_model())) << "nothing is multiplied";
  EXPECT_FALSE(is_scaled_embedding(testing::tied_model(), {}));

  ModelData model = scaled_model("acme.Embedding");
  model.tensors.back().name = "words.gain";
  EXPECT_FALSE(is_scaled(model)) << "PEFT would not multiply its term by that";
  model = scaled_model("acme.Embedding");
  model.tensors.back().tensor = at::ones({4});
  EXPECT_FALSE(is_scaled(model)) << "nor by more than one number";
  model = scaled_model("acme.Embedding");
  std::ranges::find(model.graph.nodes, "aten::mul", &Node::target)->target = "aten::add";
  EXPECT_FALSE(is_scaled(model));
}

TEST(LayerKind, ProductWithTheModulesOwnWeightIsSeenAmongOtherOperators) {
  const ModelData model = small_mlp();
  EXPECT_TRUE(multiplies_by_its_weight(model, calls_of(model, "seq.0")));
  EXPECT_FALSE(multiplies_by_its_weight(model, calls_of(model, "seq.1")));
  EXPECT_FALSE(multiplies_by_its_weight(model, calls_of(model, "seq")))
      << "the weights belong to the layers inside";
}

TEST(LayerKind, WeightThatIsComputedInForwardIsRefusedByItsName) {
  const auto refusal = [](const std::vector<std::string>& parameters) {
    return error_text([&] { refuse_computed_weight("acme.Normed at `head`", parameters); });
  };
  EXPECT_THAT(refusal({"bias", "weight_orig"}),
              HasSubstr("acme.Normed at `head` computes its `weight` in forward from other "
                        "parameters"));
  EXPECT_THAT(refusal({"weight_hh_l0_g", "weight_hh_l0_v"}), HasSubstr("its `weight_hh_l0`"));
  EXPECT_THAT(refusal({"parametrizations.weight.original0", "parametrizations.weight.original1"}),
              HasSubstr("remove_parametrizations(module, \"weight\")"));
  EXPECT_THAT(refusal({"cell.parametrizations.kernel.original"}), HasSubstr("its `cell.kernel`"));
}

TEST(LayerKind, NamesThatOnlyLookLikeThoseOfComputedWeightsPass) {
  EXPECT_NO_THROW(refuse_computed_weight("x", {"weight", "bias"}));
  EXPECT_NO_THROW(refuse_computed_weight("x", {"weight_g"}));
  EXPECT_NO_THROW(refuse_computed_weight("x", {"scale_orig"}));
}

TEST(LayerKind, OutputProjectionOfAnAttentionIsRunByTheAttention) {
  ModelData model;
  model.tree.modules = {{"", "acme.Net", true},
                        {"attention", "torch.nn.MultiheadAttention", true},
                        {"attention.out_proj", "torch.nn.Linear", false},
                        {"block", "acme.Attention", true},
                        {"block.out_proj", "torch.nn.Linear", true},
                        {"out_proj", "torch.nn.Linear", true}};
  const auto run_by_attention = [&] {
    std::vector<std::string> paths;
    for (std::size_t i = 0; i < model.tree.modules.size(); ++i) {
      if (!is_run_by_attention(model, static_cast<ModuleId>(i))) continue;
      paths.push_back(model.tree.modules[i].path);
    }
    return paths;
  };
  EXPECT_THAT(run_by_attention(), ElementsAre("attention.out_proj"));
  model.tree.modules[0].type = "torch.nn.MultiheadAttention";
  EXPECT_THAT(run_by_attention(), ElementsAre("attention.out_proj", "out_proj"));
}

}  // namespace
}  // namespace tenon
