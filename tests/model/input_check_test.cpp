#include "model/input_check.h"

#include <ATen/ATen.h>

#include "support/error_matchers.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;

InputSpec ids() {
  InputSpec spec{"input_ids", "input_ids", at::kLong, true, {}};
  spec.dimensions.push_back({-1, "batch", 1, 16, nullptr});
  spec.dimensions.push_back({7, "", 0, -1, nullptr});
  return spec;
}
InputSpec mask() {
  InputSpec spec{"mask", "mask", at::kFloat, true, {}};
  spec.dimensions.push_back({-1, "batch", 1, 16, nullptr});
  return spec;
}

std::string text(const std::vector<at::Tensor>& inputs) {
  return error_text([&] { check_inputs({ids(), mask()}, inputs); });
}

TEST(InputCheck, FittingInputsPass) {
  EXPECT_NO_THROW(
      check_inputs({ids(), mask()}, {at::zeros({3, 7}, at::kLong), at::zeros({3}, at::kFloat)}));
}

TEST(InputCheck, FixedDimensionIsToldInTheUsersWords) {
  EXPECT_THAT(text({at::zeros({3, 9}, at::kLong), at::zeros({3})}),
              HasSubstr("dimension 1 of `input_ids` was fixed to 7 when this model was exported, "
                        "and is 9; export it with a dynamic dimension, where the exporter can"));
}

TEST(InputCheck, ANumberIsCheckedByTheGuardsThatNameIt) {
  const InputSpec count{"n", "n", at::kLong, true, {}};
  const std::vector<SizeExpression> guards{*SizeExpression::parse("L['n'] <= 8")};
  EXPECT_NO_THROW(check_inputs({count}, {at::scalar_tensor(7, at::kLong)}, guards));
  EXPECT_THAT(error_text([&] { check_inputs({count}, {at::scalar_tensor(9, at::kLong)}, guards); }),
              HasSubstr("the model was exported for inputs with `n` <= 8; `n` is 9"));
}

TEST(InputCheck, SizesThatTheExportLeftOpenAreNamedWhereAForwardFails) {
  EXPECT_EQ(dynamic_sizes({ids()}, {at::zeros({3, 7}, at::kLong)}),
            "dimension 0 of `input_ids` is 3");
}

TEST(InputCheck, RangeIsTold) {
  EXPECT_THAT(text({at::zeros({17, 7}, at::kLong), at::zeros({17})}),
              HasSubstr("dimension 0 of `input_ids` is 17; the model was exported for 1 to 16"));
}

TEST(InputCheck, SizesThatMustAgreeAreNamedTogether) {
  EXPECT_THAT(text({at::zeros({3, 7}, at::kLong), at::zeros({4})}),
              HasSubstr("dimension 0 of `mask` is 4, but must equal dimension 0 of `input_ids`, "
                        "which is 3"));
}

TEST(InputCheck, AllProblemsComeAtOnce) {
  const std::string all = text({at::zeros({3, 9}, at::kFloat), at::zeros({3, 1})});
  EXPECT_THAT(all, HasSubstr("`input_ids` is Float, the model takes Long"));
  EXPECT_THAT(all, HasSubstr("was fixed to 7"));
  EXPECT_THAT(all, HasSubstr("`mask` has 2 dimensions, the model takes 1"));
}

TEST(InputCheck, NumberOfInputsIsChecked) {
  EXPECT_THAT(text({at::zeros({3, 7}, at::kLong)}), HasSubstr("the model takes 2 inputs, not 1"));
}

TEST(InputCheck, DerivedDimensionMustBeWhatItsFormulaGives) {
  InputSpec first{"x", "x", at::kFloat, true, {}};
  first.dimensions.push_back({-1, "s0", 0, -1, nullptr});
  InputSpec second{"y", "y", at::kFloat, true, {}};
  second.dimensions.push_back(
      {-1, "", 0, -1,
       std::make_shared<const SizeExpression>(*SizeExpression::parse(
           "Add(Mul(Integer(2), Symbol('s0', integer=True)), Integer(1))"))});
  EXPECT_NO_THROW(check_inputs({first, second}, {at::zeros({3}), at::zeros({7})}));
  EXPECT_THAT(error_text([&] {
                check_inputs({first, second}, {at::zeros({3}), at::zeros({8})});
              }),
              HasSubstr("dimension 0 of `y` is 8, but must be (2 * dimension 0 of `x`) + 1, which "
                        "is 7"));
}

TEST(InputCheck, GuardOfTheExportIsToldInTheUsersWords) {
  InputSpec spec{"x", "X", at::kFloat, true, {}};
  spec.dimensions.push_back({-1, "s0", 0, -1, nullptr});
  const std::vector<SizeExpression> guards{*SizeExpression::parse("L['X'].size()[0] % 4 == 0")};
  EXPECT_NO_THROW(check_inputs({spec}, {at::zeros({8})}, guards));
  EXPECT_THAT(error_text([&] { check_inputs({spec}, {at::zeros({6})}, guards); }),
              HasSubstr("the model was exported for inputs with (dimension 0 of `x` % 4) == 0; "
                        "dimension 0 of `x` is 6"));
}

TEST(InputCheck, GuardOnWhatIsNoInputIsLeftAlone) {
  const std::vector<SizeExpression> guards{*SizeExpression::parse("L['self'].size()[0] > 9")};
  EXPECT_NO_THROW(
      check_inputs({ids(), mask()}, {at::zeros({3, 7}, at::kLong), at::zeros({3})}, guards));
}

}  // namespace
}  // namespace tenon
