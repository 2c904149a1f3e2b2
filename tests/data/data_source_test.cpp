#include "data/data_source.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "model/tensor_file.h"
#include "support/error_matchers.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using testing::TempDir;

DataConfig columns(std::vector<std::string> inputs) {
  DataConfig config;
  config.inputs = std::move(inputs);
  return config;
}

InputSpec declared_input() {
  InputSpec spec;
  spec.name = "input";
  return spec;
}

InputSpec program_input(const std::string& name, at::ScalarType dtype,
                        const std::vector<std::int64_t>& fixed, const std::string& argument = "") {
  InputSpec spec;
  spec.name = name;
  spec.argument_name = argument;
  spec.dtype = dtype;
  spec.checked = true;
  for (const std::int64_t size : fixed) spec.dimensions.emplace_back().fixed = size;
  return spec;
}

std::vector<float> values(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

at::Tensor ids(std::int64_t rows, std::int64_t columns) {
  return at::arange(rows * columns, at::kLong).reshape({rows, columns});
}

TEST(CsvDataset, JoinsAllColumnsButTheTarget) {
  const TempDir dir;
  const auto file = dir.write("train.csv", "a,labels,b\n1,0,2\n3,1,4\n");
  const Dataset data = read_dataset(file, {}, "cross_entropy", {declared_input()});
  EXPECT_EQ(data.rows, 2);
  EXPECT_THAT(data.input_names, ElementsAre("input"));
  EXPECT_THAT(data.inputs.at(0).sizes().vec(), ElementsAre(2, 2));
  EXPECT_THAT(values(data.inputs[0]), ElementsAre(1, 2, 3, 4));
  ASSERT_TRUE(data.target.has_value());
  EXPECT_TRUE(at::equal(*data.target, at::arange(2, at::kLong)));
}

TEST(CsvDataset, TakesNamedColumnsScalesThemAndKeepsTheTargetAsItIs) {
  const TempDir dir;
  const auto file = dir.write("train.csv", "a,b,c,y\n1,2,3,10\n4,5,6,20\n");
  DataConfig config = columns({"c", "a"});
  config.target = "y";
  config.scale = 0.5;
  const Dataset data = read_dataset(file, config, "mse", {declared_input()});
  EXPECT_THAT(values(data.inputs.at(0)), ElementsAre(1.5, 0.5, 3, 2));
  ASSERT_TRUE(data.target.has_value());
  EXPECT_THAT(data.target->sizes().vec(), ElementsAre(2));
  EXPECT_THAT(values(*data.target), ElementsAre(10, 20));
}

TEST(CsvDataset, LossOfTheOutputItselfNeedsNoTarget) {
  const TempDir dir;
  const Dataset data =
      read_dataset(dir.write("a.csv", "a,b\n1,2\n"), {}, "output", {declared_input()});
  EXPECT_THAT(values(data.inputs.at(0)), ElementsAre(1, 2));
  EXPECT_FALSE(data.target.has_value());
}

TEST(CsvDataset, NumbersBecomeTheModelsFloatType) {
  const TempDir dir;
  InputSpec input = declared_input();
  input.dtype = at::kDouble;
  const Dataset data = read_dataset(dir.write("a.csv", "a\n1\n"), {}, "output", {input});
  EXPECT_EQ(data.inputs.at(0).scalar_type(), at::kDouble);
}

TEST(CsvDataset, NamesEveryMissingColumn) {
  const TempDir dir;
  const auto file = dir.write("a.csv", "width,height,label\n1,2,0\n");
  const DataConfig config = columns({"widht", "weight_in_kg"});
  EXPECT_THAT(error_text([&] { read_dataset(file, config, "nll", {declared_input()}); }),
              AllOf(HasSubstr("the data do not fit in 3 ways"),
                    HasSubstr("no column `labels` ([data] target); did you mean `label`?"),
                    HasSubstr("no column `widht` ([data] inputs); did you mean `width`"),
                    HasSubstr("no column `weight_in_kg` ([data] inputs)")));
}

TEST(CsvDataset, SaysThatTheModelTakesAnotherNumberOfColumns) {
  const TempDir dir;
  const auto file = dir.write("a.csv", "a,b,labels\n1,2,0\n");
  EXPECT_THAT(
      error_text([&] {
        read_dataset(file, {}, "nll", {program_input("x", at::kFloat, {-1, 20})});
      }),
      HasSubstr("the columns joined has the shape [1, 2]; dimension 1 of `x` was fixed to 20 when "
                "this model was exported, and is 2; export it with"));
}

TEST(CsvDataset, RefusesModelsThatAFileOfNumbersCannotFeed) {
  const TempDir dir;
  const auto file = dir.write("a.csv", "a,labels\n1,0\n");
  const InputSpec tokens = program_input("input_ids", at::kLong, {-1, -1});
  EXPECT_THAT(error_text([&] { read_dataset(file, {}, "causal_lm", {tokens}); }),
              AllOf(HasSubstr("the model's input `input_ids` takes integers"),
                    HasSubstr("holds no token sequences"), HasSubstr("safetensors")));
  EXPECT_THAT(error_text([&] {
                read_dataset(file, {}, "nll", {tokens, declared_input()});
              }),
              HasSubstr("a CSV file gives one input; the model takes 2 (input_ids, input)"));
}

TEST(CsvDataset, HeaderWithoutRowsIsAnError) {
  const TempDir dir;
  const auto file = dir.write("a.csv", "a,labels\n");
  EXPECT_THAT(error_text([&] { read_dataset(file, {}, "nll", {declared_input()}); }),
              HasSubstr("a.csv: the file has no rows"));
}

TEST(TensorDataset, IsRecognisedByContentAndGoesByTheModelsNames) {
  const TempDir dir;
  const auto file = dir / "train.data";
  write_tensor_file(file, {{"mask", at::ones({2, 3}, at::kLong)},
                           {"input_ids", ids(2, 3)},
                           {"labels", at::arange(2, at::kInt)}});
  const Dataset data = read_dataset(file, {}, "cross_entropy",
                                    {program_input("input_ids", at::kLong, {-1, -1}),
                                     program_input("mask", at::kLong, {-1, -1})});
  EXPECT_EQ(data.rows, 2);
  EXPECT_THAT(data.input_names, ElementsAre("input_ids", "mask"));
  EXPECT_TRUE(at::equal(data.inputs.at(0), ids(2, 3)));
  ASSERT_TRUE(data.target.has_value());
  EXPECT_EQ(data.target->scalar_type(), at::kLong);
}

TEST(TensorDataset, TakesForwardsOwnNameWhereItIsUnambiguous) {
  const TempDir dir;
  const auto file = dir / "a.safetensors";
  write_tensor_file(file, {{"X", at::ones({2, 3})}, {"labels", at::zeros({2}, at::kLong)}});
  const InputSpec x = program_input("x", at::kFloat, {-1, 3}, "X");
  EXPECT_TRUE(at::equal(read_dataset(file, {}, "nll", {x}).inputs.at(0), at::ones({2, 3})));
  const InputSpec other = program_input("x_1", at::kFloat, {-1, 3}, "X");
  EXPECT_THAT(error_text([&] {
                read_dataset(file, {}, "nll", {x, other});
              }),
              AllOf(HasSubstr("no tensor `x` (input 0 of the model)"),
                    HasSubstr("no tensor `x_1` (input 1 of the model)")));
}

TEST(TensorDataset, NamesInTheConfigGoInTheModelsOrder) {
  const TempDir dir;
  const auto file = dir / "a.safetensors";
  write_tensor_file(file, {{"first", at::ones({2, 1})}, {"second", at::zeros({2, 1})}});
  const std::vector<InputSpec> inputs = {program_input("x", at::kFloat, {-1, 1}),
                                         program_input("y", at::kFloat, {-1, 1})};
  const Dataset data = read_dataset(file, columns({"second", "first"}), "output", inputs);
  EXPECT_TRUE(at::equal(data.inputs.at(0), at::zeros({2, 1})));
  EXPECT_THAT(error_text([&] { read_dataset(file, columns({"first"}), "output", inputs); }),
              HasSubstr("[data] inputs names 1 tensor; the model takes 2"));
}

TEST(TensorDataset, ScalesFloatInputsOnly) {
  const TempDir dir;
  const auto file = dir / "a.safetensors";
  write_tensor_file(file, {{"pixels", at::ones({2, 2}, at::kByte)}, {"ids", ids(2, 2)}});
  DataConfig config;
  config.scale = 0.25;
  const Dataset data = read_dataset(
      file, config, "output",
      {program_input("pixels", at::kFloat, {-1, 2}), program_input("ids", at::kLong, {-1, 2})});
  EXPECT_THAT(values(data.inputs.at(0)), ElementsAre(0.25, 0.25, 0.25, 0.25));
  EXPECT_TRUE(at::equal(data.inputs.at(1), ids(2, 2)));
}

TEST(TensorDataset, CausalLmTakesTheTokensAsLabelsUnlessATargetIsNamed) {
  const TempDir dir;
  const auto file = dir / "a.safetensors";
  write_tensor_file(file, {{"input_ids", ids(2, 3)}});
  const std::vector<InputSpec> inputs = {program_input("input_ids", at::kLong, {-1, -1})};
  const Dataset data = read_dataset(file, {}, "causal_lm", inputs);
  ASSERT_TRUE(data.target.has_value());
  EXPECT_TRUE(data.target->is_alias_of(data.inputs.at(0)));
  DataConfig config;
  config.explicit_keys.insert("target");
  EXPECT_THAT(error_text([&] { read_dataset(file, config, "causal_lm", inputs); }),
              HasSubstr("no tensor `labels` ([data] target); the file has input_ids"));
}

TEST(TensorDataset, DeclaredModelsTakeIndicesAsTheyCome) {
  const TempDir dir;
  const auto file = dir / "a.safetensors";
  write_tensor_file(file, {{"input", ids(2, 2).to(at::kInt)}});
  const Dataset data = read_dataset(file, {}, "output", {declared_input()});
  EXPECT_EQ(data.inputs.at(0).scalar_type(), at::kLong);
}

TEST(TensorDataset, ListsEveryMisfitAtOnce) {
  const TempDir dir;
  const auto file = dir / "a.safetensors";
  write_tensor_file(file, {{"ids", at::zeros({2, 3})},
                           {"x", at::zeros({2, 3})},
                           {"flat", at::zeros({2})},
                           {"labels", at::zeros({2})}});
  EXPECT_THAT(error_text([&] {
                read_dataset(file, {}, "cross_entropy",
                             {program_input("ids", at::kLong, {-1, -1}),
                              program_input("x", at::kFloat, {-1, 4}),
                              program_input("flat", at::kFloat, {-1, -1})});
              }),
              AllOf(HasSubstr("a.safetensors: the data do not fit in 4 ways"),
                    HasSubstr("`ids` is float32; the model's input `ids` is int64"),
                    HasSubstr("`x` has the shape [2, 3]; dimension 1 of `x` was fixed to 4 when"),
                    HasSubstr("`flat` has the shape [2]; the model's input `flat` has 2 dim"),
                    HasSubstr("`labels` is float32; the loss cross_entropy takes an int64")));
}

TEST(TensorDataset, IntegersAreNoTargetOfARegression) {
  const TempDir dir;
  const auto file = dir / "a.safetensors";
  write_tensor_file(file, {{"x", at::zeros({2, 3})}, {"labels", at::zeros({2}, at::kLong)}});
  EXPECT_THAT(error_text([&] {
                read_dataset(file, {}, "mse", {program_input("x", at::kFloat, {-1, 3})});
              }),
              HasSubstr("`labels` is int64; the loss mse takes a float32 target"));
}

TEST(TensorDataset, RowsMustAgree) {
  const TempDir dir;
  const auto file = dir / "a.safetensors";
  write_tensor_file(file, {{"x", at::zeros({3, 2})}, {"labels", at::zeros({2}, at::kLong)}});
  EXPECT_THAT(error_text([&] {
                read_dataset(file, {}, "nll", {program_input("x", at::kFloat, {-1, 2})});
              }),
              HasSubstr("the tensors differ in rows: `x` 3, `labels` 2"));
}

TEST(TensorDataset, DamagedFileIsReportedAsSuch) {
  const TempDir dir;
  const auto file = dir.write("a.safetensors", "a,b\n1,2\n");
  EXPECT_THAT(error_text([&] { read_dataset(file, {}, "nll", {declared_input()}); }),
              HasSubstr("a.safetensors"));
}

TEST(Inputs, ArePickedByNameWithoutTargetOrScale) {
  const TempDir dir;
  const auto file = dir / "a.safetensors";
  write_tensor_file(file, {{"x", at::ones({2, 3})}, {"labels", at::zeros({5}, at::kLong)}});
  const auto inputs = read_inputs(file, {}, {program_input("x", at::kFloat, {-1, 3})});
  ASSERT_EQ(inputs.size(), 1U);
  EXPECT_TRUE(at::equal(inputs[0], at::ones({2, 3})));
  EXPECT_THAT(error_text([&] {
                read_inputs(file, {}, {program_input("z", at::kFloat, {-1, 3})});
              }),
              HasSubstr("there is no tensor `z` (input 0 of the model)"));
}

TEST(Inputs, ComeFromCsvToo) {
  const TempDir dir;
  const auto file = dir.write("a.csv", "a,b,labels\n1,2,9\n");
  EXPECT_THAT(values(read_inputs(file, {}, {declared_input()}).at(0)), ElementsAre(1, 2));
}

InputSpec dynamic_input(const std::string& name, at::ScalarType dtype,
                        const std::vector<std::string>& symbols) {
  InputSpec spec;
  spec.name = name;
  spec.dtype = dtype;
  spec.checked = true;
  for (const std::string& symbol : symbols) spec.dimensions.emplace_back().symbol = symbol;
  return spec;
}

TEST(SharedInputs, AreFoundWhereTheExportRelatesTheirSizesToNone) {
  const TempDir dir;
  const auto file = dir / "train.safetensors";
  write_tensor_file(file, {{"x", at::ones({6, 3})},
                           {"table", at::ones({4, 3})},
                           {"labels", at::zeros({6}, at::kLong)}});
  const std::vector<InputSpec> inputs = {dynamic_input("x", at::kFloat, {"s0", "s1"}),
                                         dynamic_input("table", at::kFloat, {"s2", "s1"})};
  const Dataset data = read_dataset(file, {}, "cross_entropy", inputs);
  EXPECT_EQ(data.rows, 6);
  EXPECT_THAT(data.shared, ElementsAre(false, true));
  EXPECT_FALSE(data.is_one_batch);
  EXPECT_THAT(data.notes, ElementsAre(HasSubstr("`table` has 4 in dimension 0 where the others "
                                                "have 6 rows")));
  std::vector<InputSpec> related = inputs;
  related[1].dimensions[0].symbol = "s0";
  EXPECT_THAT(error_text([&] { read_dataset(file, {}, "cross_entropy", related); }),
              HasSubstr("the tensors differ in rows: `x` 6, `table` 4, `labels` 6"));
}

TEST(SharedInputs, AreThoseThatTheConfigNames) {
  const TempDir dir;
  const auto file = dir / "train.safetensors";
  write_tensor_file(file, {{"x", at::ones({6, 3})},
                           {"table", at::ones({6, 3})},
                           {"labels", at::zeros({6}, at::kLong)}});
  const std::vector<InputSpec> inputs = {dynamic_input("x", at::kFloat, {"s0", "s1"}),
                                         dynamic_input("table", at::kFloat, {"s2", "s1"})};
  EXPECT_THAT(read_dataset(file, {}, "cross_entropy", inputs).notes,
              ElementsAre(HasSubstr("set [data] shared = [\"table\"]")));
  DataConfig config;
  config.shared = {"table"};
  const Dataset data = read_dataset(file, config, "cross_entropy", inputs);
  EXPECT_THAT(data.shared, ElementsAre(false, true));
  config.shared = {"tabel"};
  EXPECT_THAT(error_text([&] { read_dataset(file, config, "cross_entropy", inputs); }),
              HasSubstr("`tabel` in [data] shared is no input of the model; did you mean `table`"));
}

TEST(SharedInputs, TheEdgesOfAGraphMakeItsRowsOneBatch) {
  const TempDir dir;
  const auto file = dir / "graph.safetensors";
  write_tensor_file(
      file,
      {{"x", at::ones({6, 3})}, {"edge_index", ids(2, 3)}, {"labels", at::zeros({6}, at::kLong)}});
  const std::vector<InputSpec> inputs = {program_input("x", at::kFloat, {6, 3}),
                                         program_input("edge_index", at::kLong, {2, 3})};
  EXPECT_TRUE(read_dataset(file, {}, "cross_entropy", inputs).is_one_batch);
}

TEST(CsvDataset, TakesTheColumnsOfTheTrainingFileByTheirNames) {
  const TempDir dir;
  const Dataset train =
      read_dataset(dir.write("train.csv", "a,b,labels\n1,2,0\n"), {}, "nll", {declared_input()});
  EXPECT_THAT(train.columns, ElementsAre("a", "b"));
  DataConfig config;
  config.columns = train.columns;
  const auto read = [&](const char* text) {
    return read_dataset(dir.write("eval.csv", text), config, "nll", {declared_input()});
  };
  EXPECT_THAT(values(read("labels,b,a\n0,2,1\n").inputs.at(0)), ElementsAre(1, 2));
  EXPECT_THAT(error_text([&] { read("labels,b,c\n0,2,1\n"); }),
              AllOf(HasSubstr("there is no column `a` (a column of the training file)"),
                    HasSubstr("column `c` is none of the training file's, which are a, b")));
}

TEST(Targets, OfBceAreFromZeroToOne) {
  const TempDir dir;
  const auto file = dir.write("a.csv", "a,labels\n1,0\n1,0.5\n1,2\n");
  EXPECT_THAT(
      error_text([&] { read_dataset(file, {}, "bce_with_logits", {declared_input()}); }),
      HasSubstr("column `labels` is 2 in row 2; the loss bce_with_logits takes targets from "
                "0 to 1"));
}

TEST(CsvDataset, IsRefusedByWhatItIs) {
  const TempDir dir;
  EXPECT_THAT(error_text([&] {
                read_dataset(dir.write("a.csv", "<!DOCTYPE html>\n<html></html>\n"), {}, "nll",
                             {declared_input()});
              }),
              HasSubstr("this is no CSV file but a web page (HTML), not the file itself"));
}

}  // namespace
}  // namespace tenon
