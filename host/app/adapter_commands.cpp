#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "adapter/adapter_store.h"
#include "adapter/broken_tensors.h"
#include "app/command_inputs.h"
#include "app/commands.h"
#include "base/error.h"
#include "base/file_watch.h"
#include "base/log.h"
#include "operations/adapter_difference.h"
#include "operations/combine_adapters.h"
#include "plan/factor_keys.h"
#include "plan/method_config.h"
#include "plugin/plugin_registry.h"

// `tenon adapter ...`: what works on the folders of adapters, without their model.
namespace tenon {
namespace {

using Json = nlohmann::ordered_json;

// Messages call an adapter by its folder.
AdapterFiles load_named(const std::filesystem::path& folder, const MethodTable& methods) {
  AdapterFiles files = load_adapter(folder);
  warn_of_broken_tensors(files, folder);
  files.config = with_method(std::move(files.config), methods, files.layers).config;
  files.config.name = folder.string();
  return files;
}

[[noreturn]] void fail_command(const std::string& message, const std::string& hint) {
  throw Error({.stage = Stage::kCommandLine, .message = message, .hint = hint});
}

// NaNs would go into every layer that they meet, or stop in the middle of a decomposition.
void refuse_broken(const AdapterFiles& files, const std::filesystem::path& folder) {
  const std::vector<std::string> broken = broken_tensors(files);
  if (broken.empty()) return;
  throw Error(
      {.stage = Stage::kAdapter,
       .message = "this adapter holds NaNs or infinities, in " + broken.front() +
                  (broken.size() > 1 ? " and " + std::to_string(broken.size() - 1) + " more tensors"
                                     : std::string()),
       .hint = "its training diverged or its file is damaged: take an earlier one",
       .location = folder.string()});
}

void check_options(const CombineArguments& given) {
  const CombineOptions& options = given.options;
  if (options.weights.size() != given.folders.size()) {
    fail_command("--weights has " + std::to_string(options.weights.size()) + " numbers for " +
                     std::to_string(given.folders.size()) + " adapters",
                 "give one for each, separated by commas: --weights 0.7,0.3");
  }
  if (!std::ranges::all_of(options.weights, [](double weight) { return std::isfinite(weight); })) {
    fail_command("--weights has a number that is not finite", "give plain numbers: 0.7,0.3");
  }
  const std::string& type = options.combination_type;
  const bool prunes = type != "svd" && type != "linear" && type != "cat";
  if (prunes && given.folders.size() > 1 && !options.density) {
    fail_command("--combination-type " + type + " needs --density",
                 "give the fraction of the values that stays: --density 0.5");
  }
  const auto warn = [&](bool is_idle, const char* option) {
    if (is_idle)
      log::warning(std::string(option) + " has no meaning for --combination-type " + type);
  };
  warn(!prunes && options.density, "--density");
  warn(!type.ends_with("svd") && options.svd_rank, "--svd-rank");
  warn(!type.ends_with("svd") && options.svd_clamp, "--svd-clamp");
  warn(type.find("ties") == std::string::npos && options.majority_sign_method == "frequency",
       "--majority-sign-method");
}

}  // namespace

void adapter_combine_command(const CommandLine& line) {
  const CombineArguments& given = line.combine;
  check_options(given);
  const auto output = reserve_output(line, {});
  const PluginRegistry plugins({}, line.plugin_directories);
  std::vector<AdapterFiles> adapters;
  for (const std::filesystem::path& folder : given.folders) {
    adapters.push_back(load_named(folder, plugins.methods()));
  }
  for (std::size_t i = 0; i < adapters.size(); ++i) refuse_broken(adapters[i], given.folders[i]);
  AdapterFiles combined = combine_adapters(adapters, plugins.methods(), given.options);
  const std::int64_t rank =
      FactorKeys(*plugins.methods().of(combined.config), combined.config.method_keys).rank();
  require_unchanged_files(Stage::kAdapter);
  output->write(adapter_folder_files(combined));
  if (line.json) {
    const Json out{{"output", line.outputs.string()},
                   {"combination_type", given.options.combination_type},
                   {"r", rank},
                   {"tensors", combined.tensors.size()}};
    std::cout << out.dump(2) << "\n";
  } else if (!line.quiet) {
    std::cout << "combined " << adapters.size() << " adapters by " << given.options.combination_type
              << ", r = " << rank << "; saved in " << line.outputs.string() << "\n";
  }
}

void adapter_diff_command(const CommandLine& line) {
  const PluginRegistry plugins({}, line.plugin_directories);
  const MethodTable& methods = plugins.methods();
  const AdapterDifference found = compare_adapters(load_named(line.diff[0], methods),
                                                   load_named(line.diff[1], methods), methods);
  if (line.json) {
    Json out{{"equal", found.equal()},
             {"same_base", found.same_base},
             {"config", Json::array()},
             {"tensors", Json::array()},
             {"layers", Json::array()}};
    const auto parsed = [](const std::string& text) {
      return text.empty() ? Json(nullptr) : Json::parse(text);
    };
    for (const ConfigDifference& key : found.config) {
      out["config"].push_back(
          {{"key", key.key}, {"first", parsed(key.one)}, {"second", parsed(key.other)}});
    }
    for (const TensorDifference& tensor : found.tensors) {
      const bool compares = tensor.what.empty();
      out["tensors"].push_back(
          {{"name", tensor.key},
           {"what", compares ? Json(nullptr) : Json(tensor.what)},
           {"largest_difference", compares ? Json(tensor.largest) : Json(nullptr)},
           {"relative_difference", compares ? Json(tensor.relative) : Json(nullptr)}});
    }
    for (const LayerDifference& layer : found.layers) {
      out["layers"].push_back({{"name", layer.name}, {"relative_difference", layer.relative}});
    }
    std::cout << out.dump(2) << "\n";
    return;
  }
  if (found.equal()) std::cout << "equal\n";
  if (!found.same_base) std::cout << "they were trained on different bases\n";
  for (const ConfigDifference& key : found.config) {
    std::cout << key.key << ": " << (key.one.empty() ? "-" : key.one) << " and "
              << (key.other.empty() ? "-" : key.other) << "\n";
  }
  for (const TensorDifference& tensor : found.tensors) {
    std::cout << tensor.key << ": ";
    if (!tensor.what.empty()) {
      std::cout << tensor.what << "\n";
    } else {
      std::cout << "differs by " << tensor.relative << " of its norm, by " << tensor.largest
                << " at most\n";
    }
  }
  for (const LayerDifference& layer : found.layers) {
    std::cout << "what `" << layer.name << "` adds differs by " << layer.relative
              << " of its norm\n";
  }
}

}  // namespace tenon
