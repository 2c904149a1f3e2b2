#include "plugin/operator_table.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>

#include <span>

#include "plugin/handles.h"
#include "plugin/host_table.h"

namespace tenon {
namespace {

using ::testing::HasSubstr;

tenon_value value(const at::Tensor& tensor) {
  return {TENON_VALUE_TENSOR, 0, {.t = to_handle(tensor)}};
}
tenon_value integer(std::int64_t number) { return {TENON_VALUE_INT, 0, {.i = number}}; }
tenon_value real(double number) { return {TENON_VALUE_DOUBLE, 0, {.d = number}}; }
tenon_value by_default() { return {TENON_VALUE_DEFAULT, 0, {.i = 0}}; }

tenon_op* op(const char* name, const char* overload = "") {
  tenon_op* found = nullptr;
  tenon_error error;
  EXPECT_EQ(host_table().resolve(name, overload, &found, &error), TENON_OK) << error.text;
  return found;
}

// The one tensor that an operator gives.
at::Tensor call(tenon_op* operation, const std::vector<tenon_value>& arguments) {
  tenon_value result{};
  tenon_error error;
  const tenon_status status =
      host_table().call(operation, arguments.data(), static_cast<std::uint32_t>(arguments.size()),
                        &result, 1, &error);
  EXPECT_EQ(status, TENON_OK) << error.text;
  return take_handle(result.u.t);
}

std::string refusal(tenon_op* operation, const std::vector<tenon_value>& arguments) {
  tenon_value result{};
  tenon_error error;
  EXPECT_NE(host_table().call(operation, arguments.data(),
                              static_cast<std::uint32_t>(arguments.size()), &result, 1, &error),
            TENON_OK);
  return error.text;
}

TEST(OperatorTable, ListsOfTruthValuesReachTheOperator) {
  const at::Tensor w = at::ones({2, 2, 1}, at::kDouble);
  const at::Tensor in = at::ones({1, 2, 4}, at::kDouble);
  const at::Tensor g = at::ones({1, 2, 4}, at::kDouble);
  const std::uint8_t mask[] = {1, 0, 0};
  const std::int64_t ones[] = {1};
  const std::int64_t zeros[] = {0};
  const std::int64_t sizes[] = {2};
  const std::vector<tenon_value> arguments = {value(g),
                                              value(in),
                                              value(w),
                                              {TENON_VALUE_INT_LIST, 1, {.is = sizes}},
                                              {TENON_VALUE_INT_LIST, 1, {.is = ones}},
                                              {TENON_VALUE_INT_LIST, 1, {.is = zeros}},
                                              {TENON_VALUE_INT_LIST, 1, {.is = ones}},
                                              {TENON_VALUE_BOOL, 0, {.i = 0}},
                                              {TENON_VALUE_INT_LIST, 1, {.is = zeros}},
                                              integer(1),
                                              {TENON_VALUE_BOOL_LIST, 3, {.bs = mask}}};
  std::array<tenon_value, 3> results{};
  tenon_error error;
  ASSERT_EQ(
      host_table().call(op("aten::convolution_backward"), arguments.data(),
                        static_cast<std::uint32_t>(arguments.size()), results.data(), 3, &error),
      TENON_OK)
      << error.text;
  EXPECT_NE(results[0].u.t, nullptr);
  EXPECT_EQ(results[1].u.t, nullptr) << "the mask asks for the first gradient only";
  host_table().release_results(results.data(), 3);
  EXPECT_EQ(results[0].tag, static_cast<std::uint32_t>(TENON_VALUE_NONE));
}

TEST(OperatorTable, ScalarListsTakeWholeAndOtherNumbers) {
  const at::Tensor a = at::ones({2}, at::kDouble);
  const at::Tensor b = at::ones({2}, at::kDouble);
  const tenon_tensor tensors[] = {to_handle(a), to_handle(b)};
  const tenon_value scalars[] = {integer(3), real(0.5)};
  const std::vector<tenon_value> arguments = {{TENON_VALUE_TENSOR_LIST, 2, {.ts = tensors}},
                                              {TENON_VALUE_LIST, 2, {.vs = scalars}}};
  tenon_value result{};
  tenon_error error;
  ASSERT_EQ(host_table().call(op("aten::_foreach_mul", "ScalarList"), arguments.data(), 2, &result,
                              1, &error),
            TENON_OK)
      << error.text;
  ASSERT_EQ(result.tag, static_cast<std::uint32_t>(TENON_VALUE_TENSOR_LIST));
  ASSERT_EQ(result.n, 2U);
  EXPECT_EQ(from_handle(result.u.ts[0])[0].item<double>(), 3);
  EXPECT_EQ(from_handle(result.u.ts[1])[0].item<double>(), 0.5);
  tenon_tensor kept = nullptr;
  ASSERT_EQ(host_table().retain(result.u.ts[1], &kept, &error), TENON_OK);
  host_table().release_results(&result, 1);
  EXPECT_EQ(from_handle(kept)[1].item<double>(), 0.5) << "a retained item outlives the list";
  host_table().release(kept);
}

TEST(OperatorTable, AbsentItemsOfATensorListAreNulls) {
  const at::Tensor x = at::arange(6).view({2, 3});
  const at::Tensor columns = at::tensor({2, 0}, at::kLong);
  const tenon_tensor indices[] = {nullptr, to_handle(columns)};
  const at::Tensor y =
      call(op("aten::index", "Tensor"), {value(x), {TENON_VALUE_TENSOR_LIST, 2, {.ts = indices}}});
  EXPECT_TRUE(y.equal(x.index_select(1, columns)));
  EXPECT_THAT(refusal(op("aten::cat"), {{TENON_VALUE_TENSOR_LIST, 2, {.ts = indices}}}),
              HasSubstr("not a list with an empty tensor"));
}

TEST(OperatorTable, AGeneratorMakesDrawsRepeatable) {
  tenon_generator source{at::make_generator<at::CPUGeneratorImpl>(7)};
  const at::Tensor x = at::zeros({4});
  const auto draw = [&] {
    return call(op("aten::normal_functional"),
                {value(x), real(0), real(1), {TENON_VALUE_GENERATOR, 0, {.g = &source}}});
  };
  const at::Tensor first = draw();
  EXPECT_FALSE(first.equal(draw()));
  source.generator = at::make_generator<at::CPUGeneratorImpl>(7);
  EXPECT_TRUE(first.equal(draw()));
}

TEST(OperatorTable, ArgumentsHaveNames) {
  std::uint32_t index = 0;
  tenon_error error;
  tenon_op* add = op("aten::add", "Tensor");
  ASSERT_EQ(host_table().argument_index(add, "alpha", &index, &error), TENON_OK);
  EXPECT_EQ(index, 2U);
  EXPECT_EQ(host_table().argument_index(add, "beta", &index, &error), TENON_INVALID_ARGUMENT);
  EXPECT_EQ(error.text, "there is no argument `beta`");
  const at::Tensor x = at::ones({3});
  EXPECT_TRUE(call(op("aten::softmax", "int"), {value(x), integer(0), by_default()})
                  .allclose(at::full({3}, 1.0 / 3)));
}

TEST(OperatorTable, DevicesAreNames) {
  const at::Tensor x = at::ones({3});
  const char cpu[] = "cpu";
  const at::Tensor y =
      call(op("aten::new_zeros"), {value(x),
                                   {TENON_VALUE_INT_LIST, 1, {.is = x.sizes().data()}},
                                   {TENON_VALUE_DTYPE, 0, {.i = TENON_DTYPE_FLOAT64}},
                                   by_default(),
                                   {TENON_VALUE_STRING, 3, {.s = cpu}}});
  EXPECT_EQ(y.scalar_type(), at::kDouble);
  EXPECT_TRUE(y.device().is_cpu());
}

TEST(OperatorTable, WhatDoesNotFitIsToldByTheArgumentsName) {
  const at::Tensor x = at::ones({3});
  const double reals[] = {1.5};
  EXPECT_THAT(refusal(op("aten::reshape"), {value(x), {TENON_VALUE_DOUBLE_LIST, 1, {.ds = reals}}}),
              HasSubstr("argument `shape` wants"));
  EXPECT_THAT(refusal(op("aten::relu"), {{TENON_VALUE_NONE, 0, {.i = 0}}}),
              HasSubstr("argument `self` wants Tensor, not none"));
  EXPECT_THAT(refusal(op("aten::relu"), {}), HasSubstr("`self` is missing and has no default"));
}

TEST(HostTable, DescribesStridesOffsetAndData) {
  const at::Tensor base = at::arange(12, at::kFloat).view({3, 4});
  const at::Tensor view = base.slice(1, 1, 3);
  tenon_tensor_info info{};
  info.struct_size = sizeof info;
  tenon_error error;
  ASSERT_EQ(host_table().describe(to_handle(view), &info, &error), TENON_OK);
  EXPECT_EQ(info.shape[1], 2);
  EXPECT_EQ(info.strides[0], 4);
  EXPECT_EQ(info.storage_offset, 1);
  EXPECT_EQ(info.is_contiguous, 0);
  EXPECT_EQ(*static_cast<const float*>(info.data), 1);
}

TEST(HostTable, DescribeFillsOnlyWhatAnOlderPluginKnows) {
  const at::Tensor x = at::ones({3});
  tenon_tensor_info info{};
  info.struct_size = offsetof(tenon_tensor_info, storage_offset);
  info.is_contiguous = 99;
  tenon_error error;
  ASSERT_EQ(host_table().describe(to_handle(x), &info, &error), TENON_OK);
  EXPECT_EQ(info.elements, 3);
  EXPECT_EQ(info.is_contiguous, 99);
}

}  // namespace
}  // namespace tenon
