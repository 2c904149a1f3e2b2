#include "plugin/factors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tenon {
namespace {

using ::testing::HasSubstr;

constexpr tenon_factor_form kPairForms[] = {
    {"lora_A.weight", "lora_B.weight", "lora_B.bias", "lora_magnitude_vector", 0, 0},
    {"lora_embedding_A", "lora_embedding_B", nullptr, nullptr, TENON_FACTORS_TRANSPOSED, 0}};
constexpr tenon_factors kPairTable{sizeof(tenon_factors), 2, kPairForms};

TEST(Factors, ATensorIsFoundByTheEndOfItsKey) {
  const Factors factors(kPairTable);
  const auto up = factors.find("mha.base_layer.out_proj.lora_B.weight");
  ASSERT_TRUE(up);
  EXPECT_EQ(up->module, "mha.base_layer.out_proj");
  EXPECT_EQ(up->part, FactorPart::kUp);
  EXPECT_FALSE(up->form->transposed);
  const auto embedding = factors.find("words.lora_embedding_A");
  ASSERT_TRUE(embedding);
  EXPECT_EQ(embedding->part, FactorPart::kDown);
  EXPECT_TRUE(embedding->form->transposed);
  EXPECT_EQ(factors.find("seq.0.lora_B.bias")->part, FactorPart::kBias);
  EXPECT_EQ(factors.find("seq.0.lora_magnitude_vector")->part, FactorPart::kMagnitude);
}

TEST(Factors, OtherTensorsAreNone) {
  const Factors factors(kPairTable);
  for (const char* key : {"seq.0.weight", "lora_A.weight", "seq.0.my_lora_A.weight",
                          "seq.0.lora_offset", ".lora_A.weight", "seq.0.base_layer.bias"}) {
    EXPECT_FALSE(factors.find(key)) << key;
  }
}

TEST(Factors, EachKindOfWeightHasItsForm) {
  const Factors factors(kPairTable);
  EXPECT_EQ(factors.form(false).down, "lora_A.weight");
  EXPECT_EQ(factors.form(true).down, "lora_embedding_A");
}

TEST(Factors, TablesThatCannotBeReadAreTold) {
  EXPECT_EQ(factors_fault(&kPairTable), "");
  EXPECT_EQ(factors_fault(static_cast<const tenon_factors*>(nullptr)), "");
  tenon_factors none = kPairTable;
  none.n_forms = 0;
  EXPECT_THAT(factors_fault(&none), HasSubstr("missing or too small"));
  tenon_factor_form form = kPairForms[0];
  tenon_layer_factors layer{sizeof layer, 0, &form};
  EXPECT_EQ(factors_fault(&layer), "");
  form.up = "a..b";
  EXPECT_THAT(factors_fault(&layer), HasSubstr("not named by parts"));
  form.up = nullptr;
  EXPECT_THAT(factors_fault(&layer), HasSubstr("has no names"));
  form = kPairForms[0];
  form.flags = 8;
  EXPECT_THAT(factors_fault(&layer), HasSubstr("flags that this Tenon does not know"));
}

}  // namespace
}  // namespace tenon
