#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "adapted/adapted_model.h"
#include "app/command_inputs.h"
#include "app/commands.h"
#include "app/load_base.h"
#include "app/stages.h"
#include "base/error.h"
#include "base/file_watch.h"
#include "base/log.h"
#include "base/suggest.h"
#include "config/toml_reader.h"
#include "model/export_notes.h"
#include "operations/merged_model.h"
#include "operations/requantized_state.h"
#include "plugin/plugin_registry.h"
#include "quantize/packed_tensor.h"

namespace tenon {
namespace {

// What the file shall be, known before anything is loaded.
bool wants_program(const std::filesystem::path& output, const ModelConfig& model, bool requantize) {
  const std::string kind = output.extension().string();
  if (kind == ".safetensors") return false;
  if (requantize) {
    throw Error(
        {.stage = Stage::kCommandLine,
         .message = "--requantize writes packed weights, which no program holds: --output " +
                    output.string() + " must be a .safetensors, for [model] weights"});
  }
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
  if (model.dtype != "none") {
    throw Error({.stage = Stage::kCommandLine,
                 .message = "--output " + output.string() + ": the program in " +
                            model.path->string() + " is not in [model] dtype = \"" + model.dtype +
                            "\", which the weights are rounded to",
                 .hint = "merge into the original weights: --set model.dtype=none; or write a "
                         "state dict: --output F.safetensors"});
  }
  return true;
}

// What is merged would be rounded to the format's steps, which may be as large as what the adapter
// changes.
void require_original_weights(const ModelData& model, const ModelConfig& config) {
  const auto packed = std::ranges::find_if(
      model.tensors, [](const ModelTensor& tensor) { return is_packed(tensor.tensor); });
  if (packed == model.tensors.end()) return;
  throw Error({.stage = Stage::kInjection,
               .message = "the base's `" + packed->name +
                          "` is quantised, so that nothing can be merged into it without rounding "
                          "it once more",
               .hint = config.quantize == "none"
                           ? "merge into the original weights, by a config without `weights`; or "
                             "round once more: --requantize"
                           : "merge into the original weights: --set model.quantize=none; or round "
                             "once more: --requantize",
               .location = config.location});
}

nlohmann::ordered_json costs_json(const std::vector<RoundingCost>& costs) {
  auto list = nlohmann::ordered_json::array();
  for (const RoundingCost& cost : costs) {
    list.push_back({{"name", cost.name},
                    {"format", cost.format},
                    {"error", cost.error},
                    {"change", cost.change}});
  }
  return list;
}

std::uint64_t bytes_of(const AdaptedModel& model) {
  std::uint64_t bytes = 0;
  for (const ModelTensor& tensor : model.base_tensors()) {
    bytes += static_cast<std::uint64_t>(stored_bytes(tensor.tensor));
  }
  return bytes;
}

}  // namespace

void merge_command(const CommandLine& line) {
  RunConfig config = read_run_config(line.target, line.overrides, {});
  config.model.verify = !line.no_verify;
  const bool program = wants_program(line.outputs, config.model, line.requantize);
  check_output_file({"--output", line.outputs, Stage::kCommandLine, line.force},
                    command_inputs(line, config));
  const PluginRegistry plugins(config.plugins, line.plugin_directories);
  ModelData data = load_base(config, plugins);
  if (!line.requantize) require_original_weights(data, config.model);
  for (const std::string& note : evaluation_notes(data)) log::warning(note);
  AdaptedModel model = with_adapters(std::move(data), named_folders(line.adapters), plugins);
  require_space(line.outputs, bytes_of(model));
  model.merge(model.adapter_names());
  const MergedModel merged = merged_model(model);
  require_unchanged_files(Stage::kModel);
  const Existing existing = line.force ? Existing::kReplaced : Existing::kRefused;
  std::vector<RoundingCost> costs;
  if (program) {
    write_merged_program(model, merged, config.model.weights.has_value(), line.outputs, existing);
  } else {
    RequantizedState state = requantized_state(model, merged);
    costs = std::move(state.costs);
    write_tensor_file(line.outputs, state.tensors, existing);
  }
  if (line.json) {
    const nlohmann::ordered_json out{{"output", line.outputs.string()},
                                     {"adapters", model.adapter_names()},
                                     {"merged", merged.names},
                                     {"untied", merged.untied},
                                     {"requantized", costs_json(costs)}};
    std::cout << out.dump(2) << "\n";
    return;
  }
  if (line.quiet) return;
  for (const std::string& name : merged.untied) {
    std::cout << "`" << name << "` was tied to other names and is a tensor of its own now\n";
  }
  for (const RoundingCost& cost : costs) {
    std::cout << "`" << cost.name << "` was rounded to " << cost.format << " once more: by "
              << cost.error << ", where the adapters changed it by " << cost.change
              << " (root mean squares)\n";
  }
  std::cout << "merged " << join(model.adapter_names()) << " into " << merged.names.size()
            << " tensors; written to " << line.outputs.string() << "\n";
}

}  // namespace tenon
