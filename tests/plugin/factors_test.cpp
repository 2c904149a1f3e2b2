#include "plugin/factors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>

namespace tenon {
namespace {

using ::testing::HasSubstr;

constexpr tenon_factor_form kPairForms[] = {
    {"lora_A.weight", "lora_B.weight", "lora_B.bias", "lora_magnitude_vector", 0, 0},
    {"lora_embedding_A", "lora_embedding_B", nullptr, nullptr, TENON_FACTORS_TRANSPOSED, 0}};
constexpr tenon_factor_start kPairStarts[] = {{"eva", "eva_config", TENON_START_FROM_DATA, 0}};
constexpr tenon_factor_keys kPairKeys{sizeof(tenon_factor_keys),
                                      1,
                                      "r",
                                      "lora_alpha",
                                      nullptr,
                                      nullptr,
                                      nullptr,
                                      nullptr,
                                      nullptr,
                                      kPairStarts};
constexpr const char* kPairConverted[] = {"VERA"};
constexpr tenon_factors kPairTable{
    sizeof(tenon_factors),     TENON_FACTORS_GENERAL, 2, 1, kPairForms, &kPairKeys,
    "make LoRA of it in PEFT", kPairConverted};

std::vector<DeclaredOption> declared_keys() {
  std::vector<DeclaredOption> keys(3);
  keys[0].key = "r";
  keys[0].types = TENON_OPTION_INT;
  keys[1].key = "lora_alpha";
  keys[1].types = TENON_OPTION_INT | TENON_OPTION_DOUBLE;
  keys[2].key = "eva_config";
  keys[2].types = TENON_OPTION_TABLE;
  return keys;
}

std::string fault_of(const tenon_factors* table) { return factors_fault(table, declared_keys()); }

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

TEST(Factors, WhatPeftConvertsIsSaid) {
  EXPECT_EQ(Factors(kPairTable).conversion_of("VERA"), "make LoRA of it in PEFT");
  EXPECT_EQ(Factors(kPairTable).conversion_of("BOFT"), "");
  tenon_factors table = kPairTable;
  table.conversion = nullptr;
  EXPECT_EQ(fault_of(&table),
            "its factors count types that are converted to it, and do not say which or how");
  table.struct_size = offsetof(tenon_factors, conversion);  // of an SDK before them
  table.n_converted = 0;
  EXPECT_EQ(fault_of(&table), "");
  EXPECT_EQ(Factors(table).conversion_of("VERA"), "");
}

TEST(Factors, OtherTensorsAreNone) {
  const Factors factors(kPairTable);
  for (const char* key : {"seq.0.weight", "lora_A.weight", "seq.0.my_lora_A.weight",
                          "seq.0.lora_offset", ".lora_A.weight", "seq.0.base_layer.bias"}) {
    EXPECT_FALSE(factors.find(key)) << key;
  }
}

TEST(Factors, KeysAndStartsAreThoseOfTheMethod) {
  const Factors factors(kPairTable);
  EXPECT_TRUE(factors.are_general());
  EXPECT_EQ(factors.keys().alpha, "lora_alpha");
  EXPECT_EQ(factors.keys().root, "");
  ASSERT_EQ(factors.starts().size(), 1U);
  EXPECT_TRUE(factors.starts()[0].from_data);
  EXPECT_EQ(factors.starts()[0].table, "eva_config");
}

TEST(Factors, KeysThatTheMethodDoesNotHaveSoAreTold) {
  tenon_factor_keys keys = kPairKeys;
  tenon_factors table = kPairTable;
  table.keys = &keys;
  keys.rank = "rank";
  EXPECT_THAT(fault_of(&table), HasSubstr("its factors name `rank`, no key of it"));
  keys = kPairKeys;
  keys.rank = "lora_alpha";
  EXPECT_THAT(fault_of(&table), HasSubstr("its key `lora_alpha` is of no type that its factors"));
  table.keys = nullptr;
  EXPECT_THAT(fault_of(&table), HasSubstr("the keys of its factors are missing"));
}

TEST(Factors, EachKindOfWeightHasItsForm) {
  const Factors factors(kPairTable);
  EXPECT_EQ(factors.form(false).down, "lora_A.weight");
  EXPECT_EQ(factors.form(true).down, "lora_embedding_A");
}

TEST(Factors, TablesThatCannotBeReadAreTold) {
  EXPECT_EQ(fault_of(&kPairTable), "");
  EXPECT_EQ(fault_of(nullptr), "");
  tenon_factors none = kPairTable;
  none.n_forms = 0;
  EXPECT_THAT(fault_of(&none), HasSubstr("missing or too small"));
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
