#include "adapted/mixed_rows.h"

#include <ATen/ATen.h>

#include <limits>

#include "support/error_matchers.h"
#include "support/lora_model.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;
using testing::lora;
using testing::LoraModel;
using testing::same;

// Each row as the model gives it with that row's adapter alone.
at::Tensor row_by_row(LoraModel& made, const std::vector<std::string>& adapters) {
  std::vector<at::Tensor> rows;
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    const std::vector<std::string> active =
        adapters[i] == kBaseRows ? std::vector<std::string>{} : std::vector{adapters[i]};
    rows.push_back(made.run(active)[static_cast<std::int64_t>(i)]);
  }
  return at::stack(rows);
}

TEST(MixedRows, EachRowRunsWithItsOwnAdapter) {
  LoraModel made({lora("a", {"seq.0", "seq.2"}), lora("b", {"seq.2"})});
  const std::vector<std::string> adapters{"b", "__base__", "a", "b"};
  const at::Tensor expected = row_by_row(made, adapters);
  const at::Tensor mixed = made.model.forward_rows({made.input}, adapters, {})[0];
  EXPECT_TRUE(at::allclose(mixed, expected, 1e-5, 1e-6));
  EXPECT_TRUE(same(mixed[1], made.run({})[1]));
}

TEST(MixedRows, VariantsAndResidualWeightsMixToo) {
  AdapterConfig dora = lora("dora", {"seq.0", "seq.2"});
  dora.method_keys["use_dora"] = true;
  AdapterConfig pissa = lora("pissa", {"seq.2"});
  pissa.method_keys["init_lora_weights"] = std::string("pissa");
  LoraModel made({lora("a", {"seq.0", "seq.2"}), dora, pissa});
  const std::vector<std::string> adapters{"pissa", "dora", "a", "__base__"};
  const at::Tensor expected = row_by_row(made, adapters);
  const at::Tensor mixed = made.model.forward_rows({made.input}, adapters, {})[0];
  EXPECT_TRUE(at::allclose(mixed, expected, 1e-4, 1e-5));
}

TEST(MixedRows, AdaptersOfAllRanksScalesBiasesAndSharesOfTheRowsMix) {
  AdapterConfig rank = lora("rank", {"seq.0", "seq.2"});
  rank.method_keys["r"] = std::int64_t{3};
  AdapterConfig scale = lora("scale", {"seq.0", "seq.2"});
  scale.method_keys["lora_alpha"] = std::int64_t{7};
  AdapterConfig bias = lora("bias", {"seq.0", "seq.2"});
  bias.method_keys["lora_bias"] = true;
  AdapterConfig biased = bias;
  biased.name = "biased";
  LoraModel made({lora("a", {"seq.0", "seq.2"}), lora("b", {"seq.0", "seq.2"}),
                  lora("c", {"seq.0", "seq.2"}), rank, scale, bias, biased});
  at::manual_seed(3);
  made.input = at::randn({14, 6});
  const std::vector<std::string> adapters{"b", "c",      "a",    "rank",  "__base__",
                                          "a", "biased", "bias", "b",     "scale",
                                          "c", "bias",   "rank", "biased"};
  const at::Tensor expected = row_by_row(made, adapters);
  const at::Tensor mixed = made.model.forward_rows({made.input}, adapters, {})[0];
  EXPECT_TRUE(at::allclose(mixed, expected, 1e-5, 1e-6));
}

TEST(MixedRows, TheAdaptersOfAHalfPrecisionBaseRunInTheirOwn) {
  LoraModel made({lora("a", {"seq.0", "seq.2"}), lora("b", {"seq.0", "seq.2"})}, "bfloat16");
  made.input = made.input.to(at::kBFloat16);
  const std::vector<std::string> adapters{"b", "a", "__base__", "b"};
  const at::Tensor expected = row_by_row(made, adapters);
  const at::Tensor mixed = made.model.forward_rows({made.input}, adapters, {})[0];
  EXPECT_EQ(mixed.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::allclose(mixed, expected, 1e-2, 1e-3));
}

TEST(MixedRows, ModulesToSaveFollowTheirAdapter) {
  AdapterConfig saving = lora("saving", {"seq.0"});
  saving.modules_to_save = {"head"};
  LoraModel made({lora("a", {"seq.0", "head.0"}), saving}, "float32", /*with_head=*/true);
  for (const AddedTensor& added : made.model.adapter("saving").tensors) {
    const at::NoGradGuard no_grad;
    if (added.module == "head") added.tensor.add_(0.5);
  }
  const std::vector<std::string> adapters{"saving", "a", "__base__", "saving"};
  const at::Tensor expected = row_by_row(made, adapters);
  const at::Tensor mixed = made.model.forward_rows({made.input}, adapters, {})[0];
  EXPECT_TRUE(at::allclose(mixed, expected, 1e-5, 1e-6));
}

// The gradients of each adapter in a training forward of mixed rows are those of its rows alone.
void expect_rows_train_alone(LoraModel& made) {
  const std::vector<std::string> adapters{"a", "b", "a", "__base__"};
  const auto gradients = [&](const std::string& name) {
    std::vector<at::Tensor> all;
    for (const AddedTensor& added : made.model.adapter(name).tensors) {
      all.push_back(added.tensor.grad().clone());
      added.tensor.mutable_grad().reset();
    }
    return all;
  };
  made.model.set_active({"a", "b"});
  const RunMode training{.training = true};
  made.model.forward_rows({made.input}, adapters, training)[0].square().sum().backward();
  const std::vector<at::Tensor> mixed_a = gradients("a");
  const std::vector<at::Tensor> mixed_b = gradients("b");

  const auto alone = [&](const std::string& name, const std::vector<std::int64_t>& rows) {
    made.model.set_active({name});
    made.model.forward({made.input.index_select(0, at::tensor(rows))}, training)[0]
        .square()
        .sum()
        .backward();
    return gradients(name);
  };
  const std::vector<at::Tensor> only_a = alone("a", {0, 2});
  const std::vector<at::Tensor> only_b = alone("b", {1});
  for (const auto& [mixed, only] : {std::pair(mixed_a, only_a), std::pair(mixed_b, only_b)}) {
    ASSERT_EQ(mixed.size(), only.size());
    for (std::size_t i = 0; i < only.size(); ++i) {
      EXPECT_TRUE(at::allclose(mixed[i], only[i], 1e-4, 1e-6)) << i;
      EXPECT_GT(only[i].abs().max().item<double>(), 0) << i;
    }
  }
}

TEST(MixedRows, EachAdapterTrainsOnItsOwnRows) {
  LoraModel made({lora("a", {"seq.0", "seq.2"}), lora("b", {"seq.0", "seq.2"})});
  expect_rows_train_alone(made);
}

TEST(MixedRows, VariantsAndModulesToSaveTrainOnTheirOwnRows) {
  AdapterConfig dora = lora("a", {"seq.0", "seq.2"});
  dora.method_keys["use_dora"] = true;
  AdapterConfig saving = lora("b", {"seq.0"});
  saving.modules_to_save = {"seq.4"};
  saving.bias = "lora_only";
  LoraModel made({dora, saving});
  expect_rows_train_alone(made);
}

TEST(MixedRows, ASwappedAdapterRunsForItsRows) {
  LoraModel made({lora("a", {"seq.0", "seq.2"}), lora("b", {"seq.2"})});
  const std::vector<std::string> adapters{"b", "__base__", "a", "b"};
  made.model.forward_rows({made.input}, adapters, {});
  AdapterConfig other = lora("b", {"seq.4"});
  other.method_keys["r"] = std::int64_t{3};
  made.model.swap_adapter(made.place(other));
  const at::Tensor expected = row_by_row(made, adapters);
  const at::Tensor mixed = made.model.forward_rows({made.input}, adapters, {})[0];
  EXPECT_TRUE(at::allclose(mixed, expected, 1e-5, 1e-6));
}

TEST(MixedRows, OneAdapterForAllRowsIsThatAdapterActive) {
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.2"})});
  const at::Tensor b = made.run({"b"});
  made.model.set_active({"a"});
  EXPECT_TRUE(same(made.model.forward_rows({made.input}, {"b", "b", "b", "b"}, {})[0], b));
}

TEST(MixedRows, DisabledTheBaseRunsForEveryRow) {
  LoraModel made({lora("a", {"seq.0"}), lora("b", {"seq.2"})});
  made.model.set_enabled(false);
  const at::Tensor mixed = made.model.forward_rows({made.input}, {"a", "b", "a", "b"}, {})[0];
  EXPECT_TRUE(same(mixed, made.base()));
}

TEST(MixedRows, WrongNamesLengthsAndMergedAdaptersAreRefused) {
  LoraModel made({lora("a", {"seq.0"})});
  const auto run = [&](const std::vector<std::string>& adapters) {
    return error_text([&] { made.model.forward_rows({made.input}, adapters, {}); });
  };
  EXPECT_THAT(run({"a", "a"}), HasSubstr("Length of `adapter_names` should be the same as the "
                                         "number of inputs, but got 2 and 4 respectively."));
  EXPECT_THAT(run({"a", "c", "b", "c"}),
              HasSubstr("Trying to infer with non-existing adapter(s): c, b"));
  made.model.merge({"a"});
  EXPECT_THAT(run({"a", "a", "a", "__base__"}),
              HasSubstr("Cannot pass `adapter_names` when there are merged adapters"));
}

}  // namespace
}  // namespace tenon
