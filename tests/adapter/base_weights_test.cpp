#include "adapter/base_weights.h"

#include <ATen/ATen.h>

#include "support/error_matchers.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;

std::vector<std::string> keys_of(const std::vector<AdapterTensor>& tensors) {
  std::vector<std::string> keys;
  for (const AdapterTensor& tensor : tensors) keys.push_back(tensor.key);
  return keys;
}

std::vector<ModelTensor> base() {
  ModelTensor weight;
  weight.name = "words.weight";
  weight.aliases = {"head.weight"};
  weight.tensor = at::arange(6, at::kFloat).reshape({3, 2});
  return {weight};
}

AdapterFiles files_with(const at::Tensor& weight) {
  AdapterFiles files;
  files.base_weights = {{"head.base_layer.weight", weight}};
  return files;
}

TEST(BaseWeights, OfAdaptedLayersAreTakenOutOfTheTensors) {
  const at::Tensor one = at::ones({1});
  std::vector<AdapterTensor> tensors = {{"head.base_layer.weight", one},
                                        {"head.lora_A.weight", one},
                                        {"other.base_layer.weight", one},
                                        {"mid.base_layer.bias", one},
                                        {"mid.lora_A.weight", one}};
  EXPECT_THAT(keys_of(take_base_weights(tensors)), ElementsAre("head.base_layer.weight"));
  EXPECT_THAT(keys_of(tensors), ElementsAre("head.lora_A.weight", "other.base_layer.weight",
                                            "mid.base_layer.bias", "mid.lora_A.weight"));
}

TEST(BaseWeights, ThatTheBaseHasAreFine) {
  check_base_weights(files_with(base()[0].tensor.clone()), base(), "adapter");
}

TEST(BaseWeights, OfOtherValuesSizesOrLayersAreRefused) {
  for (const at::Tensor& weight : {at::zeros({3, 2}), at::zeros({4, 2})}) {
    EXPECT_THAT(error_text([&] { check_base_weights(files_with(weight), base(), "adapter"); }),
                HasSubstr("adapter/adapter_model.safetensors: the adapter brings weights of the "
                          "base that this model's are not:\n  head.base_layer.weight\n"));
  }
  AdapterFiles files;
  files.base_weights = {{"gone.base_layer.weight", base()[0].tensor}};
  EXPECT_THAT(error_text([&] { check_base_weights(files, base(), "adapter"); }),
              HasSubstr("gone.base_layer.weight"));
}

}  // namespace
}  // namespace tenon
