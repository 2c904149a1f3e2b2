// Layers as a config declares them, against LibTorch's modules.
#include "declared/declared_model.h"

#include <ATen/ATen.h>

#include "adapted/adapted_model.h"
#include "support/error_matchers.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;

ModelConfig declared(std::vector<DeclaredLayer> layers) {
  ModelConfig config;
  config.layers = std::move(layers);
  return config;
}

at::Tensor run(const ModelConfig& config, const at::Tensor& input) {
  return AdaptedModel(build_declared_model(config)).forward({input}, {}).at(0);
}

TEST(DeclaredModel, DottedNamesMakeSequentials) {
  const ModelData model = build_declared_model(
      declared({{"body.0", "Linear", {{"in_features", 4}, {"out_features", 3}}, "test"},
                {"body.1", "torch.nn.ReLU", {}, "test"},
                {"head", "Linear", {{"in_features", 3}, {"out_features", 2}}, "test"}}));
  std::vector<std::string> modules;
  for (const Module& module : model.tree.modules)
    modules.push_back(module.path + " " + module.type);
  EXPECT_THAT(std::vector(modules.begin() + 1, modules.end()),
              ElementsAre("body torch.nn.Sequential", "body.0 torch.nn.Linear",
                          "body.1 torch.nn.ReLU", "head torch.nn.Linear"));
}

TEST(DeclaredModel, ASeedStartsTheSameAndAnotherDoesNot) {
  ModelConfig config =
      declared({{"one", "Linear", {{"in_features", 4}, {"out_features", 3}}, "test"}});
  const at::Tensor x = at::ones({2, 4});
  const at::Tensor first = run(config, x);
  EXPECT_TRUE(at::equal(run(config, x), first));
  config.seed = config.seed + 1;
  EXPECT_FALSE(at::equal(run(config, x), first));
}

TEST(DeclaredModel, BagsOfIdsAreWhatPyTorchMakesOfThem) {
  const ModelConfig config =
      declared({{"bag",
                 "EmbeddingBag",
                 {{"num_embeddings", 9}, {"embedding_dim", 4}, {"mode", std::string("max")}},
                 "test"}});
  const at::Tensor ids = at::tensor(std::vector<std::int64_t>{1, 5, 5, 8, 0, 2}).reshape({2, 3});
  const ModelData model = build_declared_model(config);
  EXPECT_EQ(model.inputs.at(0).dtype, at::kLong);
  const at::Tensor rows = model.tensors.at(0).tensor.index_select(0, ids.flatten());
  EXPECT_TRUE(at::equal(run(config, ids), rows.reshape({2, 3, 4}).amax(1)));
}

TEST(DeclaredModel, AnEmbeddingsPaddingRowIsZeroCountedFromTheEndToo) {
  const ModelConfig config =
      declared({{"words",
                 "Embedding",
                 {{"num_embeddings", 5}, {"embedding_dim", 3}, {"padding_idx", -1}},
                 "test"}});
  const at::Tensor out = run(config, at::tensor(std::vector<std::int64_t>{4, 1}));
  EXPECT_EQ(out[0].abs().max().item<float>(), 0);
  EXPECT_GT(out[1].abs().max().item<float>(), 0);
}

TEST(DeclaredModel, PoolsTakeTheirKernelAsTheirStride) {
  const ModelConfig config = declared({{"pool", "MaxPool1d", {{"kernel_size", 2}}, "test"}});
  EXPECT_TRUE(at::equal(run(config, at::arange(6, at::kFloat).reshape({1, 1, 6})).flatten(),
                        at::tensor(std::vector<float>{1, 3, 5})));
}

TEST(DeclaredModel, EveryLayersFaultsAreToldAtOnce) {
  const std::string text = error_text([] {
    build_declared_model(
        declared({{"a", "Linaer", {}, "test"},
                  {"b", "Linear", {{"in_features", 4}}, "test"},
                  {"c", "ReLU", {{"in_place", true}}, "test"},
                  {"d", "GELU", {{"approximate", std::string("tan")}}, "test"},
                  {"e", "Linear", {{"in_features", 0}, {"out_features", 1}}, "test"}}));
  });
  EXPECT_THAT(text, HasSubstr("type `Linaer` cannot be declared in a config"));
  EXPECT_THAT(text, HasSubstr("Linear needs `out_features`"));
  EXPECT_THAT(text, HasSubstr("`in_place` is not an argument of ReLU here"));
  EXPECT_THAT(text, HasSubstr("`approximate` must be one of none, tanh, not `tan`"));
  EXPECT_THAT(text, HasSubstr("`in_features` must be at least 1"));
}

}  // namespace
}  // namespace tenon
