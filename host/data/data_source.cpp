#include "data/data_source.h"

#include <ATen/ops/eq.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/mul.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>

#include "base/error.h"
#include "base/suggest.h"
#include "data/csv_dataset.h"
#include "data/image_dataset.h"
#include "data/input_fit.h"
#include "data/joined_data.h"
#include "data/numpy_file.h"
#include "data/shared_inputs.h"
#include "model/tensor_file.h"
#include "objectives/cross_entropy.h"

namespace tenon {

namespace {

// A safetensors file starts with its header's length as 8 bytes, of which the last are zero in any
// file below 2^56 bytes; text holds no zero byte, but in UTF-16, which its mark tells from a header
// of less than 4 GB.
bool is_tensor_file(const std::filesystem::path& file) {
  if (file.extension() == ".safetensors" || is_npy_file(file) || is_npz_file(file)) return true;
  std::array<char, 8> start{};
  std::ifstream stream(file, std::ios::binary);
  stream.read(start.data(), start.size());
  const auto end = start.begin() + stream.gcount();
  const bool has_mark =
      (start[0] == '\xff' && start[1] == '\xfe') || (start[0] == '\xfe' && start[1] == '\xff');
  if (has_mark && std::any_of(start.begin() + 4, end, [](char byte) { return byte != '\0'; })) {
    return false;
  }
  return std::find(start.begin(), end, '\0') != end;
}

NamedTensors read_arrays(const std::filesystem::path& file, const std::vector<InputSpec>& inputs) {
  if (is_npz_file(file)) return read_npz_file(file, Stage::kData);
  if (!is_npy_file(file)) return read_tensor_file(file, Stage::kData);
  // Without a name of its own it is the model's input.
  return {{inputs.empty() ? "input" : inputs[0].name, read_npy_file(file, Stage::kData)}};
}

// The tensors of one file, looked up by name.
class TensorTable {
 public:
  TensorTable(const std::filesystem::path& file, const std::vector<InputSpec>& inputs)
      : tensors_(read_arrays(file, inputs)) {}

  const at::Tensor* find(const std::string& name) const {
    for (const auto& [candidate, tensor] : tensors_) {
      if (candidate == name) return &tensor;
    }
    return nullptr;
  }

  std::string missing(const std::string& name, const std::string& role) const {
    std::vector<std::string> names;
    for (const auto& [candidate, tensor] : tensors_) names.push_back(candidate);
    const std::string near = did_you_mean(name, names);
    return "there is no tensor `" + name + "` (" + role + "); " +
           (near.empty() ? "the file has " + (names.empty() ? "none" : join(names)) : near);
  }

 private:
  NamedTensors tensors_;
};

// forward's own name for the input, where no other input has it.
std::string unambiguous_argument_name(const InputSpec& input, const std::vector<InputSpec>& all) {
  const auto uses = std::count_if(all.begin(), all.end(), [&](const InputSpec& other) {
    return other.argument_name == input.argument_name || other.name == input.argument_name;
  });
  return uses == 1 ? input.argument_name : "";
}

// `wanted`: the tensors' names in the order of the model's inputs; empty to go by the model's
// names.
std::vector<at::Tensor> take_inputs(const TensorTable& table,
                                    const std::vector<std::string>& wanted,
                                    const std::vector<InputSpec>& inputs,
                                    std::vector<std::string>& problems) {
  std::vector<at::Tensor> taken;
  if (!wanted.empty() && wanted.size() != inputs.size()) {
    problems.push_back("[data] inputs names " + std::to_string(wanted.size()) +
                       (wanted.size() == 1 ? " tensor" : " tensors") + "; the model takes " +
                       std::to_string(inputs.size()));
    return taken;
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    std::string name = wanted.empty() ? inputs[i].name : wanted[i];
    const at::Tensor* tensor = table.find(name);
    if (tensor == nullptr && wanted.empty()) {
      const std::string other = unambiguous_argument_name(inputs[i], inputs);
      if (!other.empty()) tensor = table.find(other);
      if (tensor != nullptr) name = other;
    }
    if (tensor == nullptr) {
      problems.push_back(table.missing(name, "input " + std::to_string(i) + " of the model"));
      continue;
    }
    taken.push_back(fit_input(*tensor, inputs[i], "`" + name + "`", problems));
  }
  return taken;
}

// The ids that causal_lm takes as labels where there are none; -1 if no input is the one.
int find_token_input(const std::vector<InputSpec>& inputs) {
  if (inputs.size() == 1) return 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].name == "input_ids" || inputs[i].argument_name == "input_ids") {
      return static_cast<int>(i);
    }
  }
  return -1;
}

std::optional<at::Tensor> take_target(const TensorTable& table, const DataConfig& config,
                                      const LossKind& loss, const std::vector<InputSpec>& inputs,
                                      const std::vector<at::Tensor>& taken,
                                      std::vector<std::string>& problems) {
  const at::Tensor* target = table.find(config.target);
  const bool given = config.explicit_keys.contains("target");
  if (target == nullptr && !given && loss.target == TargetKind::kTokens) {
    const int tokens = find_token_input(inputs);
    if (tokens >= 0 && taken.size() == inputs.size()) {
      return fit_target(taken[static_cast<std::size_t>(tokens)], loss,
                        "`" + inputs[static_cast<std::size_t>(tokens)].name + "`", problems);
    }
  }
  if (target == nullptr) {
    if (given || (loss.target != TargetKind::kNone && loss.target != TargetKind::kAny)) {
      problems.push_back(table.missing(config.target, "[data] target"));
    }
    return std::nullopt;
  }
  if (loss.target == TargetKind::kNone) return std::nullopt;
  return fit_target(*target, loss, "`" + config.target + "`", problems);
}

// [data] sample_weight: one number for each row, at least 0.
std::optional<at::Tensor> take_weights(const TensorTable& table, const DataConfig& config,
                                       std::vector<std::string>& problems) {
  if (!config.sample_weight) return std::nullopt;
  const at::Tensor* weights = table.find(*config.sample_weight);
  if (weights == nullptr) {
    problems.push_back(table.missing(*config.sample_weight, "[data] sample_weight"));
    return std::nullopt;
  }
  return fit_weights(*weights, "`" + *config.sample_weight + "`", problems);
}

Dataset read_tensor_dataset(const std::filesystem::path& file, const DataConfig& config,
                            const LossKind& loss, const std::vector<InputSpec>& inputs) {
  Dataset data;
  data.source = file.string();
  const TensorTable table(file, inputs);
  std::vector<std::string> problems;
  data.inputs = take_inputs(table, config.inputs, inputs, problems);
  for (const InputSpec& input : inputs) data.input_names.push_back(input.name);
  data.target = take_target(table, config, loss, inputs, data.inputs, problems);
  data.target_name = config.target;
  data.weights = take_weights(table, config, problems);
  if (problems.empty()) settle_rows(data, inputs, config.shared, problems);
  if (problems.empty() && data.weights) check_weights(*data.weights, data.rows, problems);
  throw_data_problems(problems, data.source,
                      "the file needs one tensor for each input and the target, rows in dimension "
                      "0; [data] inputs and target give their names, shared those without rows");
  return data;
}

// [data] scale, which must leave finite what is.
void apply_scale(std::vector<at::Tensor>& inputs, double scale, const std::string& source) {
  if (scale == 1.0) return;
  for (at::Tensor& input : inputs) {
    if (!input.is_floating_point()) continue;
    const at::Tensor scaled = at::mul(input, scale);
    if (std::abs(scale) > 1 && !at::isfinite(scaled).all().item<bool>() &&
        at::isfinite(input).all().item<bool>()) {
      throw_data_problems({"[data] scale = " + std::to_string(scale) +
                           " makes numbers of the file too large for their type"},
                          source, "");
    }
    input = scaled;
  }
}

}  // namespace

Dataset read_dataset(const std::filesystem::path& file, const DataConfig& config,
                     const LossKind& loss, const std::vector<InputSpec>& inputs) {
  if (std::filesystem::is_directory(file)) return read_image_dataset(file, config, loss, inputs);
  std::vector<std::string> problems;
  refuse_image_keys(config, problems);
  throw_data_problems(problems, file.string(), "");
  Dataset data = is_tensor_file(file) ? read_tensor_dataset(file, config, loss, inputs)
                                      : read_csv_dataset(file, config, loss, inputs);
  throw_data_problems(
      data.rows > 0 ? std::vector<std::string>{} : std::vector<std::string>{"the file has no rows"},
      data.source, "");
  apply_scale(data.inputs, config.scale, data.source);
  return data;
}

Dataset read_dataset(const std::vector<std::filesystem::path>& files, const DataConfig& config,
                     const LossKind& loss, const std::vector<InputSpec>& inputs) {
  Dataset all = read_dataset(files.front(), config, loss, inputs);
  if (files.size() == 1) return all;
  DataConfig others = config;
  if (others.inputs.empty() && !all.columns.empty()) others.columns = all.columns;
  std::vector<Dataset> parts = {all};
  for (std::size_t i = 1; i < files.size(); ++i) {
    parts.push_back(read_dataset(files[i], others, loss, inputs));
  }
  return join_datasets(parts);
}

void ignore_class(Dataset& data, std::int64_t class_number) {
  if (class_number == kIgnoredClass || !data.target || data.target->is_floating_point()) return;
  data.target = data.target->masked_fill(at::eq(*data.target, class_number), kIgnoredClass);
}

bool is_csv_file(const std::filesystem::path& file) {
  return std::filesystem::is_regular_file(file) && !is_tensor_file(file);
}

std::vector<at::Tensor> read_inputs(const std::filesystem::path& file, const DataConfig& config,
                                    const std::vector<InputSpec>& inputs) {
  if (std::filesystem::is_directory(file)) return {read_image_inputs(file, config, inputs)};
  if (!is_tensor_file(file)) {
    DataConfig columns;
    columns.inputs = config.inputs;
    columns.columns = config.columns;
    columns.target = config.target;
    std::vector<at::Tensor> read = read_csv_dataset(file, columns, "output", inputs).inputs;
    apply_scale(read, config.scale, file.string());
    return read;
  }
  std::vector<std::string> problems;
  std::vector<at::Tensor> taken = take_inputs(TensorTable(file, inputs), {}, inputs, problems);
  throw_data_problems(problems, file.string(),
                      "the file needs one tensor for each input of the model");
  apply_scale(taken, config.scale, file.string());
  return taken;
}

}  // namespace tenon
