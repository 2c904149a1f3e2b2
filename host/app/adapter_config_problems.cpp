#include "app/adapter_config_problems.h"

#include "plan/method_config.h"
#include "plugin/plugin_registry.h"

namespace tenon {

FurtherProblems problems_of_adapters(const CommandLine& line) {
  return [&line](const RunConfig& config, Problems& problems) {
    if (config.adapters.empty()) return;
    const PluginRegistry plugins(config.plugins, line.plugin_directories);
    for (const AdapterConfig& adapter : config.adapters) {
      find_key_problems(adapter, plugins.methods(), problems);
    }
  };
}

}  // namespace tenon
