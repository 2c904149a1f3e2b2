#include "app/command_inputs.h"

#include <utility>

#include "adapter/adapter_folder.h"
#include "operations/adapter_stages.h"

namespace tenon {

std::vector<InputPath> command_inputs(const CommandLine& line, const RunConfig& config) {
  std::vector<InputPath> inputs;
  const auto add = [&](const char* what, const std::filesystem::path& path) {
    if (!path.empty()) inputs.push_back({what, path});
  };
  add("the config", line.target);
  if (config.model.path) add("[model] path", *config.model.path);
  if (config.model.weights) add("[model] weights", *config.model.weights);
  for (const auto& file : config.plugins.files) add("[plugins] files", file);
  for (const auto& folder : config.plugins.directories) add("[plugins] directories", folder);
  for (const auto& folder : line.plugin_directories) add("--plugin-dir", folder);
  for (const AdapterConfig& adapter : config.adapters) {
    if (adapter.init_from) add("[adapter] init_from", *adapter.init_from);
  }
  if (config.data) {
    for (const auto& file : config.data->train) add("[data] train", file);
    for (const auto& file : config.data->eval) add("[data] eval", file);
  }
  for (const NamedFolder& adapter : named_folders(line.adapters)) add("--adapter", adapter.folder);
  for (const auto& folder : line.combine.folders) add("the adapter", folder);
  add("--inputs", line.inputs);
  return inputs;
}

void require_no_input_in_folder(const OutputPath& folder, const std::vector<InputPath>& inputs) {
  require_no_input(folder, inputs);
  for (const char* name : {kConfigFile, kTensorFile, kRecordFile}) {
    OutputPath file = folder;
    file.path /= name;
    require_no_input(file, inputs);
  }
}

std::unique_ptr<OutputFolder> reserve_output(const CommandLine& line, const RunConfig& config) {
  require_no_input_in_folder({"--output", line.outputs, Stage::kCommandLine, line.force},
                             command_inputs(line, config));
  return reserve_adapter_folder(line.outputs, line.force);
}

}  // namespace tenon
