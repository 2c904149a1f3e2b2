#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/new_plugin.h"
#include "plugin/plugin_registry.h"

namespace tenon {

void plugin_new_command(const CommandLine& line) {
  const std::string& method = line.plugin_new.method;
  const PluginRegistry plugins({}, line.plugin_directories);
  const bool is_new = plugins.methods().find(method) == nullptr;
  const std::vector<std::string> files =
      write_new_plugin({line.target, line.plugin_new.type, method, is_new});
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
