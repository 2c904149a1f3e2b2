#include <charconv>
#include <iostream>
#include <nlohmann/json.hpp>

#include "adapter/foreign_adapter.h"
#include "app/command_inputs.h"
#include "app/commands.h"
#include "app/stages.h"
#include "base/error.h"
#include "base/file_watch.h"
#include "capture/plugin_model.h"
#include "config/toml_reader.h"
#include "operations/adapter_stages.h"
#include "operations/convert_adapter.h"
#include "plan/factor_keys.h"
#include "plan/method_config.h"
#include "plugin/plugin_registry.h"

namespace tenon {
namespace {

// A whole number is a rank, a fraction a share of the change (as in PEFT's conversion).
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
    const AdaptedModel model =
        with_adapters(std::move(data), named_folders(line.adapters), plugins);
    return convert_to_factors(model, files, plugins.methods(), rank);
  }
  const MethodConfig known = with_method(files.config, plugins.methods(), files.layers);
  if (known.method->factors() != nullptr &&
      FactorKeys(*known.method, known.config.method_keys).changes_base()) {
    AdapterFiles complete = files;
    complete.config = known.config;
    return plain_adapter(data, complete, plugins);
  }
  throw Error({.stage = Stage::kCommandLine,
               .message = "--rank is missing: this adapter is converted by singular values",
               .hint = "--rank 8 gives every layer that rank, --rank 0.95 as much as holds that "
                       "share of its change"});
}

// A file of another program, put on the model once, so that what does not fit is told here.
AdapterFiles convert_foreign(const CommandLine& line, ModelData data,
                             const PluginRegistry& plugins) {
  const std::filesystem::path file = named_folders(line.adapters).front().folder;
  const AdapterFiles files = read_foreign_adapter(data, plugins.methods(), file, line.from);
  AdaptedModel model(std::move(data));
  auto placed =
      place_adapter(model.model(), plan_injection(model.model(), files.config, plugins), 0);
  assign_adapter(files, adapter_tensors(*placed), file);
  model.add_adapter(std::move(placed));
  return adapter_files(model, model.adapter());
}

std::int64_t rank_of(const AdapterFiles& files, const MethodTable& methods) {
  return FactorKeys(*methods.of(files.config), files.config.method_keys).rank();
}

}  // namespace

void adapter_convert_command(const CommandLine& line) {
  const RunConfig config = read_run_config(line.target, line.overrides, {});
  const auto output = reserve_output(line, config);
  const PluginRegistry plugins(config.plugins, line.plugin_directories);
  const AdapterFiles converted =
      line.from.empty()
          ? convert(line, load_model(config.model, plugins),
                    load_adapter(named_folders(line.adapters).front().folder), plugins)
          : convert_foreign(line, load_model(config.model, plugins), plugins);
  require_unchanged_files(Stage::kAdapter);
  output->write(adapter_folder_files(converted));
  if (line.json) {
    const nlohmann::ordered_json out{{"output", line.outputs.string()},
                                     {"r", rank_of(converted, plugins.methods())},
                                     {"tensors", converted.tensors.size()}};
    std::cout << out.dump(2) << "\n";
  } else if (!line.quiet) {
    std::cout << "converted; saved in " << line.outputs.string() << "\n";
  }
}

}  // namespace tenon
