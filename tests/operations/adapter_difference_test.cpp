#include "operations/adapter_difference.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/files_of_lora.h"

namespace tenon {
namespace {

using testing::files_of;
using testing::lora;
using testing::LoraModel;

AdapterDifference compare(const AdapterFiles& one, const AdapterFiles& other) {
  return compare_adapters(one, other, testing::methods());
}

TEST(AdapterDifference, AnAdapterIsLikeItself) {
  const LoraModel made({lora("a", {"seq.0", "seq.2"})});
  EXPECT_TRUE(compare(files_of(made, "a"), files_of(made, "a")).equal());
}

TEST(AdapterDifference, OneValueIsFoundInItsTensorAndInItsLayersTerm) {
  const LoraModel made({lora("a", {"seq.0", "seq.2"})});
  const AdapterFiles one = files_of(made, "a");
  AdapterFiles other = one;
  for (AdapterTensor& tensor : other.tensors) {
    if (tensor.key != "seq.2.lora_B.weight") continue;
    tensor.tensor = tensor.tensor.clone();
    tensor.tensor[0][0] += 0.25;
  }
  const AdapterDifference found = compare(one, other);
  ASSERT_EQ(found.tensors.size(), 1U);
  EXPECT_EQ(found.tensors[0].key, "seq.2.lora_B.weight");
  EXPECT_NEAR(found.tensors[0].largest, 0.25, 1e-6);
  ASSERT_EQ(found.layers.size(), 1U);
  EXPECT_EQ(found.layers[0].name, "seq.2");
  EXPECT_GT(found.layers[0].relative, 0);
  EXPECT_TRUE(found.config.empty());
}

TEST(AdapterDifference, AnotherRankIsToldOfTheConfigAndOfTheShapes) {
  AdapterConfig wide = lora("wide", {"seq.0"});
  wide.method_keys["r"] = std::int64_t{3};
  const LoraModel made({lora("a", {"seq.0"}), wide});
  const AdapterDifference found = compare(files_of(made, "a"), files_of(made, "wide"));
  ASSERT_EQ(found.config.size(), 1U);
  EXPECT_EQ(found.config[0].key, "r");
  EXPECT_EQ(found.config[0].one, "2");
  EXPECT_EQ(found.config[0].other, "3");
  ASSERT_EQ(found.tensors.size(), 2U);
  EXPECT_EQ(found.tensors[0].what, "[2, 6] float32 and [3, 6] float32");
}

TEST(AdapterDifference, AnotherBaseIsADifference) {
  const LoraModel made({lora("a", {"seq.0"})});
  AdapterFiles other = files_of(made, "a");
  other.base_fingerprint = "another";
  EXPECT_FALSE(compare(files_of(made, "a"), other).equal());
  other.base_fingerprint = "";  // nobody knows
  EXPECT_TRUE(compare(files_of(made, "a"), other).equal());
}

}  // namespace
}  // namespace tenon
