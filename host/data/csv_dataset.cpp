#include "data/csv_dataset.h"

#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/foreign_content.h"
#include "base/suggest.h"
#include "data/csv.h"
#include "data/input_fit.h"

namespace tenon {

namespace {

struct CsvSelection {
  std::vector<std::size_t> inputs;
  std::optional<std::size_t> target;
  std::optional<std::size_t> weight;
};

std::string missing_column(const std::string& name, const std::string& role,
                           const std::vector<std::string>& header) {
  const std::string near = did_you_mean(name, header);
  return "there is no column `" + name + "` (" + role + "); " +
         (near.empty() ? "the columns are " + join(header) : near);
}

// Columns that the training file does not have.
void refuse_others(const std::vector<std::string>& header, const DataConfig& config,
                   std::vector<std::string>& problems) {
  for (const std::string& name : header) {
    if (name == config.target || name == config.sample_weight ||
        std::ranges::count(*config.columns, name) > 0)
      continue;
    problems.push_back("column `" + name + "` is none of the training file's, which are " +
                       join(*config.columns) +
                       "; name those to use with [data] inputs if it is to be left out");
  }
}

CsvSelection select_columns(const std::vector<std::string>& header, const DataConfig& config,
                            const LossKind& loss, std::vector<std::string>& problems) {
  CsvSelection selection;
  const auto position = [&](const std::string& name) -> std::optional<std::size_t> {
    const auto found = std::find(header.begin(), header.end(), name);
    if (found == header.end()) return std::nullopt;
    return static_cast<std::size_t>(found - header.begin());
  };
  const std::optional<std::size_t> target = position(config.target);
  const bool asked = loss.target != TargetKind::kNone && loss.target != TargetKind::kAny;
  const bool needed = asked || config.explicit_keys.contains("target");
  if (needed && !target) {
    problems.push_back(missing_column(config.target, "[data] target", header));
  }
  if (loss.target != TargetKind::kNone) selection.target = target;

  if (config.sample_weight) {
    selection.weight = position(*config.sample_weight);
    if (!selection.weight) {
      problems.push_back(missing_column(*config.sample_weight, "[data] sample_weight", header));
    }
  }

  // Predictions need no target, and a file that has one is meant without it.
  const bool by_names = !config.inputs.empty() || config.columns;
  for (std::size_t i = 0; !by_names && i < header.size(); ++i) {
    if (i != target && i != selection.weight) selection.inputs.push_back(i);
  }
  const std::vector<std::string>& names =
      config.inputs.empty() && config.columns ? *config.columns : config.inputs;
  const char* const role =
      config.inputs.empty() ? "a column of the training file" : "[data] inputs";
  for (const std::string& name : names) {
    const std::optional<std::size_t> column = position(name);
    if (column) selection.inputs.push_back(*column);
    if (!column) problems.push_back(missing_column(name, role, header));
    if (column && column == selection.target) {
      problems.push_back("column `" + name + "` is the target and also an input");
    }
  }
  if (config.inputs.empty() && config.columns) refuse_others(header, config, problems);
  if (problems.empty() && selection.inputs.empty()) {
    problems.emplace_back("no column is left for the model's input");
  }
  return selection;
}

// A tensor that owns `numbers`, so that nothing is copied.
template <typename T>
at::Tensor adopt(std::vector<T>&& numbers, at::IntArrayRef sizes, at::ScalarType dtype) {
  const auto owner = std::make_shared<std::vector<T>>(std::move(numbers));
  return at::from_blob(
      owner->data(), sizes, [owner](void*) {}, dtype);
}

// What a CSV cannot be, whatever its columns.
void check_model(const std::string& source, const LossKind& loss,
                 const std::vector<InputSpec>& inputs) {
  std::vector<std::string> problems;
  if (inputs.size() != 1) {
    std::vector<std::string> names;
    for (const InputSpec& input : inputs) names.push_back(input.name);
    problems.push_back("a CSV file gives one input; the model takes " +
                       std::to_string(inputs.size()) + " (" + join(names) + ")");
  } else if (inputs[0].checked && !c10::isFloatingType(inputs[0].dtype)) {
    problems.push_back("a CSV file gives floats; the model's input `" + inputs[0].name +
                       "` takes integers");
  }
  if (loss.target == TargetKind::kTokens) {
    problems.push_back("a CSV file holds no token sequences, which the loss " + loss.name +
                       " takes");
  }
  throw_data_problems(problems, source, "put the data into a safetensors file, one tensor each");
}

}  // namespace

Dataset read_csv_dataset(const std::filesystem::path& file, const DataConfig& config,
                         const LossKind& loss, const std::vector<InputSpec>& inputs) {
  Dataset data;
  data.source = file.string();
  check_model(data.source, loss, inputs);
  const MappedFile mapped(file, Stage::kData);
  if (const ForeignContent content = foreign_content(mapped.text()); content.what != nullptr) {
    throw_data_problems({std::string("this is no CSV file but ") + content.what}, data.source,
                        content.hint);
  }
  std::vector<std::string> problems;
  const std::string hint = "name the columns with [data] inputs and target";
  const std::vector<std::string> header = read_csv_header(mapped.text(), file);
  const CsvSelection selection = select_columns(header, config, loss, problems);
  throw_data_problems(problems, data.source, hint);

  std::vector<std::size_t> float_columns = selection.inputs;
  std::optional<std::size_t> integer_column;
  if (loss.target == TargetKind::kClasses) integer_column = selection.target;
  const bool float_target = selection.target && !integer_column;
  if (float_target) float_columns.push_back(*selection.target);
  if (selection.weight) float_columns.push_back(*selection.weight);
  CsvNumbers numbers = read_csv_numbers(mapped.text(), file, float_columns, integer_column);

  data.rows = numbers.rows;
  const auto width = static_cast<std::int64_t>(float_columns.size());
  at::Tensor joined = adopt(std::move(numbers.floats), {data.rows, width}, at::kFloat);
  const auto take_last = [&joined] {
    const std::int64_t last = joined.size(1) - 1;
    at::Tensor column = joined.select(1, last).contiguous();
    joined = joined.narrow(1, 0, last).contiguous();
    return column;
  };
  if (selection.weight) {
    data.weights = fit_weights(take_last(), "column `" + *config.sample_weight + "`", problems);
  }
  if (float_target) {
    data.target = take_last();
    check_target(*data.target, loss, "column `" + config.target + "`", problems);
  }
  if (integer_column) data.target = adopt(std::move(numbers.integers), {data.rows}, at::kLong);
  data.input_names = {inputs[0].name};
  data.target_name = config.target;
  for (const std::size_t column : selection.inputs) data.columns.push_back(header[column]);
  data.inputs = {fit_input(joined, inputs[0], "the columns joined", problems)};
  throw_data_problems(problems, data.source, hint);
  return data;
}

}  // namespace tenon
