#include <charconv>
#include <iostream>
#include <nlohmann/json.hpp>

#include "adapter/convert_adapter.h"
#include "app/commands.h"
#include "app/stages.h"
#include "base/error.h"
#include "capture/plugin_model.h"
#include "config/lora_init.h"
#include "config/toml_reader.h"
#include "plugin/plugin_registry.h"

namespace tenon {
namespace {

// A whole number is a rank, a fraction a share of the change (PEFT: convert_to_lora).
ConvertRank parse_rank(const std::string& text) {
  const char* const end = text.data() + text.size();
  std::int64_t rank = 0;
  if (std::from_chars(text.data(), end, rank).ptr == end && rank > 0) return {rank, 1};
  double energy = 0;
  if (std::from_chars(text.data(), end, energy).ptr == end && energy > 0 && energy <= 1) {
    return {std::nullopt, energy};
  }
  throw Error({.stage = Stage::kCommandLine,
               .message = "--rank " + text + " is neither a rank (8) nor a share (0.95)"});
}

AdapterFiles convert(const CommandLine& line, ModelData data, const AdapterFiles& files,
                     const PluginRegistry& plugins) {
  if (!line.rank.empty()) {
    const ConvertRank rank = parse_rank(line.rank);
    return convert_to_lora(with_adapters(std::move(data), named_folders(line.adapters), plugins),
                           files, rank);
  }
  if (files.config.method == "lora" && changes_base(files.config.init_lora_weights)) {
    return plain_lora(data, files, plugins);
  }
  throw Error({.stage = Stage::kCommandLine,
               .message = "--rank is missing: this adapter is converted by singular values",
               .hint = "--rank 8 gives every layer that rank, --rank 0.95 as much as holds that "
                       "share of its change"});
}

}  // namespace

void adapter_convert_command(const CommandLine& line) {
  const RunConfig config = read_run_config(line.target, line.overrides, {});
  check_output_folder(line.outputs, line.force);
  const AdapterFiles files = load_adapter(named_folders(line.adapters).front().folder);
  const PluginRegistry plugins(config.plugins, line.plugin_directories);
  const AdapterFiles converted = convert(line, load_model(config.model, plugins), files, plugins);
  save_adapter(line.outputs, converted, line.force);
  if (line.json) {
    const nlohmann::ordered_json out{{"output", line.outputs.string()},
                                     {"r", converted.config.r},
                                     {"tensors", converted.tensors.size()}};
    std::cout << out.dump(2) << "\n";
  } else if (!line.quiet) {
    std::cout << "converted to LoRA; saved in " << line.outputs.string() << "\n";
  }
}

}  // namespace tenon
