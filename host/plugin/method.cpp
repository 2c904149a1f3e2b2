#include "plugin/method.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/log.h"
#include "plugin/host_table.h"
#include "plugin/plugin_failure.h"
#include "plugin/plugin_registry.h"
#include "plugin/sized_struct.h"

namespace tenon {

Method::Method(const tenon_method& table, const PluginInfo& plugin)
    : table_(read_sized(table)),
      plugin_(&plugin),
      keys_(read_declarations(table_.keys, table_.n_keys)) {}

std::string Method::peft_type() const {
  if (table_.peft_type != nullptr) return table_.peft_type;
  std::string type = table_.name;
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return type;
}

double Method::scaling(const LayerFacts& base, const tenon_setup& setup) const {
  if (table_.scaling == nullptr) return 1;
  tenon_error error;
  double scaling = 1;
  if (table_.scaling(&host_table(), &base, &setup, &scaling, &error) != TENON_OK) {
    throw_failure({Stage::kInjection, base, *plugin_, "scaling"}, error);
  }
  return scaling;
}

MethodTable::MethodTable(const std::deque<PluginInfo>& plugins) {
  for (const PluginInfo& plugin : plugins) {
    for (const Method& method : plugin.methods) {
      const auto known = std::find_if(methods_.begin(), methods_.end(), [&](const Method* other) {
        return other->name() == method.name();
      });
      if (known == methods_.end()) {
        methods_.push_back(&method);
        continue;
      }
      // Plugins come in the order of their places.
      const PluginInfo& winner = (*known)->plugin();
      const std::string both = "method " + method.name() + " comes from " + winner.path.string();
      if (winner.place == plugin.place) {
        throw Error(
            {.stage = Stage::kPlugins,
             .message = both + " and from " + plugin.path.string() + ", which lie in one place",
             .hint = "take one of them out of " + plugin.path.parent_path().string()});
      }
      log::info(both + " in place of " + plugin.path.string());
    }
  }
  std::sort(methods_.begin(), methods_.end(),
            [](const Method* a, const Method* b) { return a->name() < b->name(); });
}

const Method* MethodTable::find(const std::string& name) const {
  for (const Method* method : methods_) {
    if (method->name() == name) return method;
  }
  return nullptr;
}

const Method* MethodTable::find_peft_type(const std::string& peft_type) const {
  for (const Method* method : methods_) {
    if (method->peft_type() == peft_type) return method;
  }
  return nullptr;
}

std::vector<std::string> MethodTable::names() const {
  std::vector<std::string> names;
  for (const Method* method : methods_) names.push_back(method->name());
  return names;
}

}  // namespace tenon
