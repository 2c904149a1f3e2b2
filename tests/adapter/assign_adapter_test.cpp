#include "adapter/adapter_store.h"

#include <ATen/ATen.h>

#include <limits>

#include "support/error_matchers.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;

AdapterFiles files_with(std::vector<AdapterTensor> tensors) {
  AdapterFiles files;
  files.tensors = std::move(tensors);
  return files;
}

TEST(AssignAdapterTest, ValuesAreCopiedIntoTrainedParameters) {
  const at::Tensor weight = at::zeros({2, 3}).requires_grad_(true);
  const void* storage = weight.const_data_ptr();
  const AdapterFiles files = files_with({{"seq.0.lora_A.weight", at::full({2, 3}, 5.0)}});
  assign_adapter(files, {{"seq.0.lora_A.weight", weight}}, "adapter");
  EXPECT_TRUE(at::equal(weight.detach(), at::full({2, 3}, 5.0)));
  EXPECT_TRUE(weight.is_leaf());
  EXPECT_TRUE(weight.requires_grad());
  EXPECT_EQ(weight.const_data_ptr(), storage);
}

TEST(AssignAdapterTest, FloatsOfAnotherWidthAreConverted) {
  const at::Tensor weight = at::zeros({2});
  assign_adapter(files_with({{"w", at::full({2}, 1.5, at::kBFloat16)}}), {{"w", weight}},
                 "adapter");
  EXPECT_TRUE(at::equal(weight, at::full({2}, 1.5)));
}

// What is logged while tensors of these values are assigned, each under its number.
std::string logged_for(const std::vector<at::Tensor>& values) {
  std::vector<AdapterTensor> tensors;
  std::vector<AdapterTensor> parameters;
  for (const at::Tensor& value : values) {
    const std::string key = std::to_string(tensors.size());
    tensors.push_back({key, value});
    parameters.push_back({key, at::zeros_like(value)});
  }
  ::testing::internal::CaptureStderr();
  assign_adapter(files_with(tensors), parameters, "adapter");
  return ::testing::internal::GetCapturedStderr();
}

TEST(AssignAdapterTest, TensorsThatAreNotFiniteAreToldWithTheFirstNames) {
  const at::Tensor sound = at::ones({2, 2});
  at::Tensor broken = at::zeros({3, 2});
  broken[2][0] = std::numeric_limits<double>::quiet_NaN();
  at::Tensor infinite = at::ones({4}, at::kBFloat16);
  infinite[1] = -std::numeric_limits<double>::infinity();
  EXPECT_EQ(logged_for({sound, at::empty({0, 2}), at::ones({1}, at::kLong), sound}), "");
  EXPECT_EQ(logged_for({sound, infinite, broken}),
            "warning: the adapter in adapter holds NaNs or infinities in 2 of its 3 tensors: 1, 2; "
            "its training diverged or its file is damaged: take an earlier one\n");
  EXPECT_THAT(logged_for({broken, broken, broken.to(at::kHalf), broken, broken}),
              HasSubstr("in 5 of its 5 tensors: 0, 1, 2 and 2 more;"));
  EXPECT_THAT(logged_for({broken.to(at::kFloat8_e5m2)}), HasSubstr("in 1 of its 1 tensors: 0;"));
}

TEST(AssignAdapterTest, EveryMismatchIsListedAndNothingIsCopied) {
  const at::Tensor fits = at::zeros({2});
  const AdapterFiles files = files_with({{"seq.0.lora_A.weight", at::ones({4, 20})},
                                         {"seq.4.bias", at::ones({2})},
                                         {"seq.4.steps", at::ones({1}, at::kLong)},
                                         {"seq.9.lora_B.weight", at::ones({2, 2})}});
  const std::string text = error_text([&] {
    assign_adapter(files,
                   {{"seq.0.lora_A.weight", at::zeros({8, 20}), "seq.0"},
                    {"seq.0.lora_B.weight", at::zeros({2000, 8}), "seq.0"},
                    {"seq.4.bias", fits, "seq.4"},
                    {"seq.4.steps", at::zeros({1}), "seq.4"}},
                   "adapter");
  });
  EXPECT_EQ(text,
            "adapter/adapter_model.safetensors: the adapter does not fit the model:\n"
            "  lora_A.weight of seq.0: file has [4, 20], the model needs [8, 20]\n"
            "  lora_B.weight of seq.0: missing in the file\n"
            "  steps of seq.4: file has I64, the model needs F32\n"
            "  lora_B.weight of seq.9: in the file, but the adapted model has no such parameter\n"
            "  is this the base model that it was trained on, and are `r`, `rank_pattern`, "
            "`target_modules` and `modules_to_save` the adapter's?");
  EXPECT_TRUE(at::equal(fits, at::zeros({2})));
}

}  // namespace
}  // namespace tenon
