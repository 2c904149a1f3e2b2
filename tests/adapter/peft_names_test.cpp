#include "adapter/peft_names.h"

#include <gtest/gtest.h>

namespace tenon {
namespace {

TEST(PeftNamesTest, KeysCarryPeftsPrefix) {
  EXPECT_EQ(to_peft_key("seq.0.lora_A.weight"), "base_model.model.seq.0.lora_A.weight");
  EXPECT_EQ(from_peft_key("base_model.model.seq.0.lora_A.weight"), "seq.0.lora_A.weight");
}

TEST(PeftNamesTest, OnlyTheFirstPrefixIsTaken) {
  EXPECT_EQ(from_peft_key("base_model.model.base_model.model.w"), "base_model.model.w");
}

TEST(PeftNamesTest, WhatLayersShareLiesBesideTheModel) {
  EXPECT_EQ(to_peft_key(".vera_A"), "base_model.vera_A");
  EXPECT_EQ(from_peft_key("base_model.vera_A"), ".vera_A");
}

TEST(PeftNamesTest, OtherNamesAreNotPefts) {
  for (const char* name : {"", "seq.0.weight", "base_model.model", "base_model.model.",
                           "base_model.modelx.w", "model.base_model.model.w"}) {
    EXPECT_EQ(from_peft_key(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace tenon
