#pragma once

#include <string>

#include "base/error.h"
#include "plugin/handles.h"

namespace tenon {

struct PluginInfo;

// Which function of which plugin failed, on which layer.
struct PluginCall {
  Stage stage;
  const LayerFacts& base;
  const PluginInfo& plugin;
  const char* function;
};

// Throws the Error of a failing status; without a text it is a plugin bug.
[[noreturn]] void throw_failure(const PluginCall& call, const tenon_error& error);
[[noreturn]] void throw_bug(const PluginCall& call, const std::string& what);

}  // namespace tenon
