#include <iostream>
#include <nlohmann/json.hpp>

#include "adapted/adapted_model.h"
#include "app/command_inputs.h"
#include "app/commands.h"
#include "app/stages.h"
#include "base/error.h"
#include "base/file_watch.h"
#include "base/log.h"
#include "base/suggest.h"
#include "capture/plugin_model.h"
#include "config/toml_reader.h"
#include "model/export_notes.h"
#include "operations/merged_model.h"
#include "plugin/plugin_registry.h"

namespace tenon {
namespace {

// What the file shall be, known before anything is loaded.
bool wants_program(const std::filesystem::path& output, const ModelConfig& model) {
  const std::string kind = output.extension().string();
  if (kind == ".safetensors") return false;
  if (kind != ".pt2") {
    throw Error({.stage = Stage::kCommandLine,
                 .message = "--output " + output.string() +
                            " is neither a .pt2 (an exported program) nor a .safetensors (a state "
                            "dict)"});
  }
  if (!model.path) {
    throw Error({.stage = Stage::kCommandLine,
                 .message = "--output " + output.string() +
                            ": this model did not come from an exported program, so none can be "
                            "written",
                 .hint = "write its state dict: --output F.safetensors"});
  }
  return true;
}

std::uint64_t bytes_of(const AdaptedModel& model) {
  std::uint64_t bytes = 0;
  for (const ModelTensor& tensor : model.base_tensors()) bytes += tensor.tensor.nbytes();
  return bytes;
}

}  // namespace

void merge_command(const CommandLine& line) {
  RunConfig config = read_run_config(line.target, line.overrides, {});
  config.model.verify = !line.no_verify;
  const bool program = wants_program(line.outputs, config.model);
  check_output_file({"--output", line.outputs, Stage::kCommandLine, line.force},
                    command_inputs(line, config));
  const PluginRegistry plugins(config.plugins, line.plugin_directories);
  ModelData data = load_model(config.model, plugins);
  for (const std::string& note : evaluation_notes(data)) log::warning(note);
  AdaptedModel model = with_adapters(std::move(data), named_folders(line.adapters), plugins);
  require_space(line.outputs, bytes_of(model));
  model.merge(model.adapter_names());
  const MergedModel merged = merged_model(model);
  require_unchanged_files(Stage::kModel);
  const Existing existing = line.force ? Existing::kReplaced : Existing::kRefused;
  if (program) {
    write_merged_program(model, merged, config.model.weights.has_value(), line.outputs, existing);
  } else {
    write_tensor_file(line.outputs, merged_state(model, merged), existing);
  }
  if (line.json) {
    const nlohmann::ordered_json out{{"output", line.outputs.string()},
                                     {"adapters", model.adapter_names()},
                                     {"merged", merged.names},
                                     {"untied", merged.untied}};
    std::cout << out.dump(2) << "\n";
    return;
  }
  if (line.quiet) return;
  for (const std::string& name : merged.untied) {
    std::cout << "`" << name << "` was tied to other names and is a tensor of its own now\n";
  }
  std::cout << "merged " << join(model.adapter_names()) << " into " << merged.names.size()
            << " tensors; written to " << line.outputs.string() << "\n";
}

}  // namespace tenon
