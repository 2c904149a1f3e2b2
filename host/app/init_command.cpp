#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/first_config.h"
#include "base/error.h"
#include "base/output_file.h"
#include "base/output_place.h"
#include "plugin/plugin_registry.h"
#include "pt2/pt2_program.h"

namespace tenon {
namespace {

// By what the default method says of its factors.
FirstKeys first_keys(const PluginRegistry& plugins) {
  const std::string name = AdapterConfig().method;
  const Method* method = plugins.methods().find(name);
  if (method == nullptr || method->factors() == nullptr) {
    throw Error({.stage = Stage::kPlugins,
                 .message = "method " + name + " is not here",
                 .hint = "`tenon plugins` lists what was found, and why a file was refused"});
  }
  const FactorKeyNames& keys = method->factors()->keys();
  return {method->name(), keys.rank, keys.alpha};
}

}  // namespace

void init_command(const CommandLine& line) {
  const std::filesystem::path place =
      line.outputs.empty() ? line.target.stem().replace_extension(".toml") : line.outputs;
  if (place.extension() != ".toml") {  // --force would replace a model by a config
    throw Error({.stage = Stage::kCommandLine,
                 .message = "--output " + place.string() + " must be a .toml: a config is written",
                 .hint = "name it, for example, " + place.stem().string() + ".toml"});
  }
  const std::vector<InputPath> inputs = {{"the model", line.target}};
  check_output_file({"the config", place, Stage::kCommandLine, line.force}, inputs);
  const ModelData model = read_pt2_program(line.target);
  const PluginRegistry plugins({}, line.plugin_directories);
  const auto is_supported = [&](const std::string& type) {
    return !type.empty() && plugins.find(AdapterConfig().method, type) != nullptr;
  };
  // The config names the model from its own folder.
  const std::filesystem::path folder = std::filesystem::absolute(place).parent_path();
  const std::filesystem::path program =
      std::filesystem::absolute(line.target).lexically_relative(folder);
  OutputFile file(place, line.force ? Existing::kReplaced : Existing::kRefused);
  file.write(first_config(model, program, first_keys(plugins), is_supported));
  file.finish();
  file.publish();
  if (line.json) {
    std::cout << nlohmann::ordered_json{{"path", place.string()}}.dump(2) << "\n";
    return;
  }
  std::cout << "wrote " << place.string() << "\nnext: tenon plan " << place.string() << "\n";
}

}  // namespace tenon
