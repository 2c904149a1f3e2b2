#include "plugin/plugin_failure.h"

#include "plugin/plugin_registry.h"

namespace tenon {
namespace {

[[noreturn]] void fail(const PluginCall& call, const std::string& reason) {
  const LayerFacts::Description& facts = call.base.description();
  throw Error({.stage = call.stage,
               .message = facts.type + " at `" + facts.module_path + "`: " + reason,
               .hint = "the layer comes from plugin " + call.plugin.id + " " + call.plugin.version +
                       " (" + call.plugin.path.string() + ")"});
}

}  // namespace

void throw_failure(const PluginCall& call, const tenon_error& error) {
  if (error.text.empty()) throw_bug(call, std::string(call.function) + " failed without a message");
  fail(call, error.text);
}

void throw_bug(const PluginCall& call, const std::string& what) {
  fail(call, "plugin bug: " + what);
}

}  // namespace tenon
