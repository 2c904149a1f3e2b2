// From adapters that no file has been written of; against PEFT's own in parity/operations_test.py.
#include "operations/combine_adapters.h"

#include <ATen/ATen.h>

#include "adapter/factor_pairs.h"
#include "support/error_matchers.h"
#include "support/files_of_lora.h"

namespace tenon {
namespace {

using testing::error_text;
using testing::files_of;
using ::testing::HasSubstr;
using testing::lora;
using testing::LoraModel;
using testing::methods;

std::map<std::string, at::Tensor> terms(const AdapterFiles& files) {
  std::map<std::string, at::Tensor> terms;
  for (const auto& [module, pair] : factor_pairs(files, *methods().of(files.config))) {
    terms.emplace(module, pair.product());
  }
  return terms;
}

TEST(CombineAdapters, CatOfTwoIsTheWeightedSumOfTheirTerms) {
  const LoraModel made({lora("a", {"seq.0", "seq.2"}), lora("b", {"seq.2"})});
  const AdapterFiles a = files_of(made, "a");
  const AdapterFiles b = files_of(made, "b");
  const auto combined =
      terms(combine_adapters({a, b}, methods(), {.weights = {0.5, -2}, .combination_type = "cat"}));
  ASSERT_EQ(combined.size(), 2U);
  EXPECT_TRUE(at::allclose(combined.at("seq.0"), 0.5 * terms(a).at("seq.0")));
  EXPECT_TRUE(at::allclose(combined.at("seq.2"),
                           0.5 * terms(a).at("seq.2") - 2 * terms(b).at("seq.2"), 1e-5, 1e-6));
}

TEST(CombineAdapters, SvdOfTheFullRankIsTheSameSum) {
  const LoraModel made({lora("a", {"seq.2"}), lora("b", {"seq.2"})});
  const AdapterFiles a = files_of(made, "a");
  const AdapterFiles b = files_of(made, "b");
  const auto combined = terms(combine_adapters(
      {a, b}, methods(), {.weights = {1, 1}, .combination_type = "svd", .svd_rank = 4}));
  EXPECT_TRUE(
      at::allclose(combined.at("seq.2"), terms(a).at("seq.2") + terms(b).at("seq.2"), 1e-4, 1e-5));
}

TEST(CombineAdapters, AllThatStandsAgainstItIsToldAtOnce) {
  AdapterConfig wide = lora("wide", {"seq.0"});
  wide.method_keys["r"] = std::int64_t{3};
  AdapterConfig dora = lora("dora", {"seq.0"});
  dora.method_keys["use_dora"] = true;
  const LoraModel made({lora("a", {"seq.0"}), wide, dora});
  const std::string text = error_text([&] {
    combine_adapters({files_of(made, "a"), files_of(made, "wide"), files_of(made, "dora")},
                     methods(), {.weights = {1, 1, 1}, .combination_type = "linear"});
  });
  EXPECT_THAT(text, HasSubstr("dora: "));
  EXPECT_THAT(text, HasSubstr("All adapters must have the same r value"));
}

TEST(CombineAdapters, AModuleThatTwoSaveWholeIsRefused) {
  AdapterConfig one = lora("one", {"seq.0"});
  one.modules_to_save = {"seq.4"};
  AdapterConfig other = one;
  other.name = "other";
  const LoraModel made({one, other});
  EXPECT_THAT(error_text([&] {
                combine_adapters({files_of(made, "one"), files_of(made, "other")}, methods(),
                                 {.weights = {1, 1}, .combination_type = "cat"});
              }),
              HasSubstr("if they target the same module with modules_to_save: `seq.4`"));
}

}  // namespace
}  // namespace tenon
