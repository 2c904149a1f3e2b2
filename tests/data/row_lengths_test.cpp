#include "data/row_lengths.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include "objectives/cross_entropy.h"
#include "support/error_matchers.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;

InputSpec token_input(const std::string& name, const std::string& symbol) {
  InputSpec input;
  input.name = name;
  input.dimensions.resize(2);
  input.dimensions[1].symbol = symbol;
  return input;
}

std::vector<InputSpec> token_inputs(const std::string& symbol = "s1") {
  return {token_input("input_ids", symbol), token_input("attention_mask", symbol)};
}

// Three rows of 4, 1 and 2 tokens in a width of 5.
Dataset token_data() {
  Dataset data;
  const at::Tensor ends = at::tensor({4, 1, 2}, at::kLong).reshape({3, 1});
  const at::Tensor places = at::arange(5, at::kLong);
  data.inputs = {places.expand({3, 5}).contiguous(), (places < ends).to(at::kLong)};
  data.target = at::full({3, 5}, kIgnoredClass, at::kLong);
  data.rows = 3;
  data.source = "tokens.safetensors";
  return data;
}

TEST(RowLengths, EndWhereTheMaskEnds) {
  EXPECT_THAT(RowLengths(token_data(), token_inputs()).lengths(), ElementsAre(4, 1, 2));
}

TEST(RowLengths, CutWhatAllRowsOfABatchLack) {
  const Dataset data = token_data();
  const RowLengths lengths(data, token_inputs());
  Batch batch = take_batch(data, {1, 2});
  lengths.cut_padding(batch, {1, 2});
  EXPECT_EQ(batch.inputs[0].sizes(), at::IntArrayRef({2, 2}));
  EXPECT_EQ(batch.inputs[1].sizes(), at::IntArrayRef({2, 2}));
  EXPECT_EQ(batch.target->sizes(), at::IntArrayRef({2, 2}));
}

TEST(RowLengths, KeepWhatTheExportDemands) {
  std::vector<InputSpec> inputs = token_inputs();
  for (InputSpec& input : inputs) input.dimensions[1].minimum = 3;
  const Dataset data = token_data();
  Batch batch = take_batch(data, {1});
  RowLengths(data, inputs).cut_padding(batch, {1});
  EXPECT_EQ(batch.inputs[0].sizes(), at::IntArrayRef({1, 3}));
}

TEST(RowLengths, RefuseLabelsOfPadding) {
  Dataset data = token_data();
  data.target->select(0, 2).select(0, 2).fill_(7);
  EXPECT_THAT(error_text([&] { RowLengths(data, token_inputs()); }),
              HasSubstr("tokens.safetensors: row 2 has labels behind its end, where "
                        "`attention_mask` is 0"));
}

TEST(RowLengths, NeedAMaskOfAFreeWidth) {
  EXPECT_THAT(error_text([&] { RowLengths(token_data(), {token_input("x", "s1")}); }),
              HasSubstr("group_by_length needs a model with an input `attention_mask`"));
  std::vector<InputSpec> fixed = token_inputs("");
  fixed[1].dimensions[1].fixed = 5;
  EXPECT_THAT(error_text([&] { RowLengths(token_data(), fixed); }),
              HasSubstr("dimension 1 of `attention_mask` was fixed to 5"));
}

}  // namespace
}  // namespace tenon
