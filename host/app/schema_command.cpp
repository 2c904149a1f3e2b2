#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/config_schema.h"
#include "plugin/plugin_registry.h"

namespace tenon {

void schema_command(const CommandLine& line) {
  const PluginRegistry plugins({}, line.plugin_directories);
  std::vector<MethodKeys> methods;
  for (const std::string& name : plugins.methods().names()) {
    MethodKeys method{name, plugins.methods().find(name)->keys()};
    std::erase_if(method.keys, [](const DeclaredOption& key) { return !key.is_settable(); });
    methods.push_back(std::move(method));
  }
  std::vector<std::string> losses;
  for (const PluginLoss* loss : plugins.losses()) losses.push_back(loss->name());
  std::cout << config_schema(methods, losses).dump(2) << "\n";
}

}  // namespace tenon
