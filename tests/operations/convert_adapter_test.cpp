// What an adapter adds, as two factors; against PEFT's convert_to_lora in
// parity/operations_test.py.
#include "operations/convert_adapter.h"

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

FactorPair pair_of(const AdapterFiles& files, const std::string& module) {
  return factor_pairs(files, *methods().of(files.config)).at(module);
}

TEST(ConvertAdapter, OfTheSameRankItAddsTheSame) {
  const LoraModel made({lora("a", {"seq.0", "seq.2"})});
  const AdapterFiles files = files_of(made, "a");
  const AdapterFiles converted = convert_to_factors(made.model, files, methods(), {.rank = 2});
  for (const char* module : {"seq.0", "seq.2"}) {
    EXPECT_EQ(pair_of(converted, module).rank(), 2);
    EXPECT_TRUE(at::allclose(pair_of(converted, module).product(), pair_of(files, module).product(),
                             1e-4, 1e-5));
  }
}

TEST(ConvertAdapter, AShareOfTheEnergyDecidesEachLayersRank) {
  const LoraModel made({lora("a", {"seq.0", "seq.2"})});
  const AdapterFiles files = files_of(made, "a");
  const AdapterFiles converted = convert_to_factors(made.model, files, methods(), {.energy = 0.1});
  const FactorPair cut = pair_of(converted, "seq.2");
  EXPECT_EQ(cut.rank(), 1);
  const at::Tensor whole = pair_of(files, "seq.2").product();
  EXPECT_GT((cut.product() - whole).norm().item<float>(), 1e-3);
  EXPECT_LT((cut.product() - whole).norm().item<float>(), whole.norm().item<float>());
}

TEST(ConvertAdapter, ARankThatALayerDoesNotHaveIsRefused) {
  const LoraModel made({lora("a", {"seq.0"})});
  EXPECT_THAT(error_text([&] {
                convert_to_factors(made.model, files_of(made, "a"), methods(), {.rank = 7});
              }),
              HasSubstr("the rank 7 is larger than `seq.0` has (6); choose a lower one"));
}

TEST(ConvertAdapter, TrainedBiasesAreRefused) {
  AdapterConfig config = lora("a", {"seq.0"});
  config.bias = "all";
  const LoraModel made({config});
  EXPECT_THAT(error_text([&] {
                convert_to_factors(made.model, files_of(made, "a"), methods(), {.rank = 2});
              }),
              HasSubstr("it trained biases (bias = \"all\")"));
}

}  // namespace
}  // namespace tenon
