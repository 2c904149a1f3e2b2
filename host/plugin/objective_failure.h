#pragma once

#include <tenon/plugin.h>

#include <string>

#include "plugin/handles.h"

namespace tenon {

struct PluginInfo;

// A function of a plugin that belongs to no layer: of a loss, a metric.
struct ObjectiveCall {
  std::string what;  // "loss acme.focal"
  const PluginInfo& plugin;
};

// Throws Error{kTraining} with the text of a failing status, or what the plugin did wrong.
[[noreturn]] void throw_failure(const ObjectiveCall& call, const char* function,
                                const tenon_error& error);
[[noreturn]] void throw_bug(const ObjectiveCall& call, const std::string& what);

}  // namespace tenon
