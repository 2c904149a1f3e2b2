#include <algorithm>
#include <array>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/new_model_plugin.h"
#include "app/new_objective_plugin.h"
#include "app/new_plugin.h"
#include "base/error.h"
#include "plugin/plugin_registry.h"

namespace tenon {
namespace {

std::vector<std::string> write_project_of(const CommandLine& line) {
  const PluginNewArguments& wanted = line.plugin_new;
  const std::array<bool, 4> given = {!wanted.type.empty(), !wanted.model.empty(),
                                     !wanted.loss.empty(), !wanted.metric.empty()};
  if (std::ranges::count(given, true) != 1) {
    throw Error({.stage = Stage::kCommandLine,
                 .message = "plugin new needs one of --type, --model, --loss and --metric",
                 .hint = "--type acme.Fancy for adapters on layers of a type, --model acme.mlp for "
                         "a C++ model, --loss acme.focal, --metric acme.hits"});
  }
  if (wanted.type.empty() && wanted.method) {
    throw Error({.stage = Stage::kCommandLine,
                 .message = "--method is for adapters on layers: it goes with --type"});
  }
  if (!wanted.loss.empty()) {
    return write_new_objective_plugin(line.target, Objective::kLoss, wanted.loss);
  }
  if (!wanted.metric.empty()) {
    return write_new_objective_plugin(line.target, Objective::kMetric, wanted.metric);
  }
  if (wanted.model.empty()) {
    const std::string method = wanted.method.value_or("lora");
    const PluginRegistry plugins({}, line.plugin_directories);
    const bool is_new = plugins.methods().find(method) == nullptr;
    return write_new_plugin({line.target, wanted.type, method, is_new});
  }
  return write_new_model_plugin(line.target, wanted.model);
}

}  // namespace

void plugin_new_command(const CommandLine& line) {
  const std::vector<std::string> files = write_project_of(line);
  if (line.json) {
    const nlohmann::ordered_json out{{"path", line.target.string()}, {"files", files}};
    std::cout << out.dump(2) << "\n";
    return;
  }
  for (const std::string& file : files) {
    std::cout << "wrote " << (line.target / file).string() << "\n";
  }
  std::cout << "next: " << (line.target / "README.md").string() << "\n";
}

}  // namespace tenon
