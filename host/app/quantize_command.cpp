#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "app/command_inputs.h"
#include "app/commands.h"
#include "app/load_base.h"
#include "base/error.h"
#include "base/file_watch.h"
#include "base/log.h"
#include "config/toml_reader.h"
#include "model/packed_file.h"
#include "plugin/plugin_registry.h"
#include "quantize/packed_tensor.h"

// `tenon quantize`: a base's weights packed once, in a file that later runs map.
namespace tenon {
namespace {

// A config, of which [model] counts, or an exported program alone.
RunConfig config_of(const CommandLine& line) {
  RunConfig config;
  if (line.target.extension() == ".toml") {
    config = read_run_config(line.target, line.overrides, {});
  } else {
    config.model.path = line.target;
    config.model.location = line.target.string();
  }
  config.model.quantize = line.quantize_to;
  config.model.verify = !line.no_verify;
  return config;
}

struct PackedState {
  NamedTensors tensors;
  std::map<std::string, std::string> metadata{{"format", "pt"}};
  std::int64_t packed = 0;  // weights
};

// The whole state dict, as [model] weights wants it.
PackedState packed_state(const ModelData& model) {
  PackedState state;
  for (const ModelTensor& tensor : model.tensors) {
    if (!tensor.persistent || tensor.kind == ValueKind::kConstant) continue;
    if (tensor.crc32 >= 0) {
      state.metadata.emplace(kRecordedCrc32 + tensor.name, std::to_string(tensor.crc32));
    }
    if (!is_packed(tensor.tensor)) {
      state.tensors.emplace_back(tensor.name, tensor.tensor);
      continue;
    }
    ++state.packed;
    for (auto& entry : packed_entries(tensor.name, *packed_view(tensor.tensor).weight,
                                      tensor.tensor.scalar_type())) {
      state.tensors.push_back(std::move(entry));
    }
  }
  return state;
}

}  // namespace

void quantize_command(const CommandLine& line) {
  const RunConfig config = config_of(line);
  if (line.outputs.extension() != ".safetensors") {
    throw Error({.stage = Stage::kCommandLine,
                 .message = "--output " + line.outputs.string() +
                            " must be a .safetensors, which [model] weights names"});
  }
  check_output_file({"--output", line.outputs, Stage::kCommandLine, line.force},
                    command_inputs(line, config));
  const PluginRegistry plugins(config.plugins, line.plugin_directories);
  const PackedState state = packed_state(load_base_to_look(config, plugins));
  require_unchanged_files(Stage::kModel);
  write_tensor_file(line.outputs, state.tensors,
                    line.force ? Existing::kReplaced : Existing::kRefused, state.metadata);
  const auto bytes = std::filesystem::file_size(line.outputs);
  if (line.json) {
    const nlohmann::ordered_json out{{"output", line.outputs.string()},
                                     {"format", line.quantize_to},
                                     {"packed", state.packed},
                                     {"bytes", bytes}};
    std::cout << out.dump(2) << "\n";
  } else if (!line.quiet) {
    std::cout << state.packed << " weights in " << line.quantize_to << ", written to "
              << line.outputs.string() << "; to use it: [model] weights\n";
  }
}

}  // namespace tenon
