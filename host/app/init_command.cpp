#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/first_config.h"
#include "base/output_file.h"
#include "base/output_place.h"
#include "plugin/plugin_registry.h"
#include "pt2/pt2_program.h"

namespace tenon {

void init_command(const CommandLine& line) {
  const std::filesystem::path place =
      line.outputs.empty() ? line.target.stem().replace_extension(".toml") : line.outputs;
  const std::vector<InputPath> inputs = {{"the model", line.target}};
  check_output_file({"the config", place, Stage::kCommandLine, line.force}, inputs);
  const ModelData model = read_pt2_program(line.target);
  const PluginRegistry plugins({}, line.plugin_directories);
  const auto is_supported = [&](const std::string& type) {
    return !type.empty() && plugins.find("lora", type) != nullptr;
  };
  // The config names the model from its own folder.
  const std::filesystem::path folder = std::filesystem::absolute(place).parent_path();
  const std::filesystem::path program =
      std::filesystem::absolute(line.target).lexically_relative(folder);
  OutputFile file(place, line.force ? Existing::kReplaced : Existing::kRefused);
  file.write(first_config(model, program, is_supported));
  file.finish();
  file.publish();
  if (line.json) {
    std::cout << nlohmann::ordered_json{{"path", place.string()}}.dump(2) << "\n";
    return;
  }
  std::cout << "wrote " << place.string() << "\nnext: tenon plan " << place.string() << "\n";
}

}  // namespace tenon
