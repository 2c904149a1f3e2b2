#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <iostream>

#include "adapted/adapted_model.h"
#include "app/command_inputs.h"
#include "app/commands.h"
#include "app/load_base.h"
#include "app/not_finite.h"
#include "app/rank_agreement.h"
#include "app/stages.h"
#include "base/error.h"
#include "base/file.h"
#include "base/file_watch.h"
#include "base/log.h"
#include "config/toml_reader.h"
#include "data/csv.h"
#include "data/data_check.h"
#include "data/data_source.h"
#include "model/export_notes.h"
#include "model/id_tables.h"
#include "model/tensor_file.h"
#include "plugin/plugin_registry.h"
#include "ranks/collect_rows.h"

namespace tenon {
namespace {

// Rows stand in dimension 0 of every input. Throws Error{kConfig} where --batch-size cannot split.
void check_split(const std::vector<InputSpec>& specs, const std::vector<at::Tensor>& inputs,
                 std::int64_t rows, std::int64_t batch_size) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::string name = "`" + specs[i].name + "`";
    if (inputs[i].dim() == 0 || inputs[i].size(0) != rows) {
      throw Error({.stage = Stage::kConfig,
                   .message = "--batch-size cannot split the inputs: " + name +
                              " does not have the " + std::to_string(rows) + " rows of `" +
                              specs[0].name + "`",
                   .hint = "leave --batch-size out"});
    }
    if (specs[i].dimensions.empty()) continue;
    const std::int64_t fixed = specs[i].dimensions[0].fixed;
    if (fixed >= 0 && (batch_size != fixed || rows % fixed != 0)) {
      throw Error({.stage = Stage::kConfig,
                   .message = "--batch-size " + std::to_string(batch_size) + " cannot split " +
                              std::to_string(rows) + " rows: dimension 0 of " + name +
                              " was fixed to " + std::to_string(fixed) +
                              " when this model was exported",
                   .hint = "give a whole number of batches of " + std::to_string(fixed) +
                           " rows, or export the model with a dynamic dimension"});
    }
  }
}

// `adapters`: of each row; empty where what is active runs for all.
std::vector<at::Tensor> forward_batch(const AdaptedModel& model,
                                      const std::vector<at::Tensor>& inputs,
                                      const std::vector<std::string>& adapters) {
  std::vector<at::Tensor> outputs =
      adapters.empty() ? model.forward(inputs, {}) : model.forward_rows(inputs, adapters, {});
  for (at::Tensor& output : outputs) output = output.to(at::kCPU);
  return outputs;
}

// Of the batches of this rank, one part of all that lies in one piece. Where nothing says how large
// a batch is, the rows of a rank are one.
std::vector<at::Tensor> forward_in_batches(const AdaptedModel& model,
                                           const std::vector<at::Tensor>& inputs,
                                           const std::vector<std::string>& adapters,
                                           std::int64_t batch_size, const Ranks& ranks) {
  const at::NoGradGuard no_grad;
  const std::int64_t rows = inputs.empty() || inputs[0].dim() == 0 ? 0 : inputs[0].size(0);
  const auto split = [](std::int64_t all, std::int64_t size) { return (all + size - 1) / size; };
  if (batch_size == 0 && !ranks.is_alone()) batch_size = split(rows, ranks.count());
  if (ranks.is_alone() && (batch_size == 0 || batch_size >= rows)) {
    return forward_batch(model, inputs, adapters);
  }
  check_split(model.model().inputs, inputs, rows, batch_size);
  if (!adapters.empty()) model.check_rows(inputs, adapters);
  const std::int64_t own = split(split(rows, batch_size), ranks.count()) * batch_size;
  const std::int64_t end = std::min(rows, (ranks.rank() + 1) * own);
  std::vector<std::vector<at::Tensor>> parts;
  for (std::int64_t start = ranks.rank() * own; start < end; start += batch_size) {
    const std::int64_t length = std::min(batch_size, end - start);
    std::vector<at::Tensor> batch;
    batch.reserve(inputs.size());
    for (const at::Tensor& input : inputs) batch.push_back(input.narrow(0, start, length));
    const auto names = adapters.begin() + (adapters.empty() ? 0 : start);
    const std::vector<at::Tensor> outputs =
        forward_batch(model, batch, {names, names + (adapters.empty() ? 0 : length)});
    parts.resize(outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i) parts[i].push_back(outputs[i]);
  }
  std::vector<at::Tensor> joined;
  joined.reserve(parts.size());
  for (const std::vector<at::Tensor>& part : parts) joined.push_back(at::cat(part));
  return joined;
}

// A CSV file's columns are those of the training file, where the config names one that is there.
DataConfig with_columns(DataConfig data) {
  if (!data.inputs.empty() || data.train.empty() || !is_csv_file(data.train.front())) return data;
  const MappedFile file(data.train.front(), Stage::kData);
  std::vector<std::string> header = read_csv_header(file.text(), data.train.front());
  std::erase(header, data.target);
  if (data.sample_weight) std::erase(header, *data.sample_weight);
  data.columns = std::move(header);
  return data;
}

Dataset read_prediction_rows(const std::filesystem::path& file, const DataConfig& config,
                             const ModelData& model) {
  Dataset rows;
  rows.source = file.string();
  rows.inputs = read_inputs(file, is_csv_file(file) ? with_columns(config) : config, model.inputs);
  for (const InputSpec& input : model.inputs) rows.input_names.push_back(input.name);
  check_ids(rows, id_tables(model));
  return rows;
}

// Once they are written: NaNs are a failure, infinities may be meant (masked scores).
void check_outputs(const NamedTensors& outputs, const AdaptedModel& model,
                   const ModelConfig& config, const Dataset& rows,
                   const std::filesystem::path& file) {
  std::string nans;
  std::string infinities;
  for (const auto& [name, tensor] : outputs) {
    const std::string nan = not_finite_text(tensor, /*infinite=*/false);
    const std::string text = nan.empty() ? not_finite_text(tensor) : nan;
    std::string& found = nan.empty() ? infinities : nans;
    if (!text.empty()) found += (found.empty() ? "`" : ", `") + name + "` " + text;
  }
  if (!infinities.empty()) log::warning("the outputs are not finite: " + infinities);
  if (nans.empty()) return;
  throw Error({.stage = Stage::kModel,
               .message = "the outputs are not finite: " + nans + "; they are in " + file.string(),
               .hint = not_finite_causes(model, config, {&rows})});
}

}  // namespace

int predict_command(const CommandLine& line, const std::shared_ptr<Ranks>& ranks) {
  // A folder of images and the columns of a CSV file are read as [data] says; of it nothing else is
  // but its scale, without which the model would see other numbers than it was trained on.
  const bool images = std::filesystem::is_directory(line.inputs);
  const bool columns = is_csv_file(line.inputs);
  RunConfig config = read_run_config(line.target, line.overrides, {.data = images || columns});
  if (!config.data && config.values.contains("data.scale")) {
    config = read_run_config(line.target, line.overrides, {.data = true});
  }
  config.model.verify = !line.no_verify;
  require_agreement(*ranks, facts_of(config));
  if (ranks->is_first()) {
    check_output_file({"--outputs", line.outputs, Stage::kCommandLine, line.force},
                      command_inputs(line, config));
  }
  const PluginRegistry plugins(config.plugins, line.plugin_directories);
  ModelData data = load_base(config, plugins);
  for (const std::string& note : evaluation_notes(data)) log::warning(note);
  const Dataset rows = read_prediction_rows(line.inputs, config.data.value_or(DataConfig{}), data);
  const std::vector<at::Tensor>& inputs = rows.inputs;
  AdaptedModel model = with_adapters(std::move(data), named_folders(line.adapters), plugins);
  // Whoever names an adapter wants it to run.
  if (line.adapter_names.empty()) {
    model.set_active(line.active.empty() ? model.adapter_names() : line.active, false);
  }
  std::vector<at::Tensor> own =
      forward_in_batches(model, inputs, line.adapter_names, line.batch_size, *ranks);
  require_unchanged_files(Stage::kModel);
  own = collect_rows(*ranks, std::move(own));
  if (!ranks->is_first()) return 0;
  NamedTensors outputs;
  for (at::Tensor& output : own) {
    outputs.emplace_back("output_" + std::to_string(outputs.size()), std::move(output));
  }
  write_tensor_file(line.outputs, outputs, line.force ? Existing::kReplaced : Existing::kRefused);
  check_outputs(outputs, model, config.model, rows, line.outputs);
  if (line.json) {
    std::cout << "{\"outputs\": " << outputs.size() << "}\n";
  } else if (!line.quiet) {
    std::cout << outputs.size() << " outputs written to " << line.outputs.string() << "\n";
  }
  return 0;
}

}  // namespace tenon
