#pragma once

#include <list>
#include <map>
#include <string>
#include <vector>

#include "plugin/plugin_registry.h"

namespace tenon {

// Who serves which (method, type): a preferred id (of a layer type or a plugin) wins, then the
// higher place, then the higher priority. Borrows the plugins.
class PluginDispatch {
 public:
  // Throws Error{kPlugins} for preferences that name nothing.
  PluginDispatch(std::list<PluginInfo>& plugins, const std::map<std::string, std::string>& prefer);

  struct Candidate {
    PluginInfo* plugin;
    std::string id;  // of the layer type
    int priority = 0;
  };
  struct Entry {
    std::string method;
    std::string type;
    std::vector<Candidate> candidates;  // the best first
    bool preferred = false;             // the first, by a line of [plugins.prefer]
    std::string tie = {};               // why the first two cannot be told apart; "" if they can

    const Candidate* winner() const;  // the first whose loading has not failed
  };

  // The entry of an exact type before that of "*.Name"; nullptr if there is none. Throws
  // Error{kPlugins} for a tie that no preference settles.
  const Entry* find(const std::string& method, const std::string& type) const;
  std::vector<std::string> supported_types(const std::string& method) const;
  std::vector<std::string> ties() const;
  const std::vector<ShadowedLayerType>& shadowed() const { return shadowed_; }

 private:
  std::vector<Entry> entries_;
  std::vector<ShadowedLayerType> shadowed_;
};

}  // namespace tenon
