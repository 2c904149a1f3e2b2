#include "plugin/objective_failure.h"

#include "base/error.h"
#include "plugin/plugin_registry.h"

namespace tenon {
namespace {

[[noreturn]] void fail(const ObjectiveCall& call, const std::string& reason) {
  throw Error({.stage = Stage::kTraining,
               .message = call.what + ": " + reason,
               .hint = "it comes from plugin " + call.plugin.id + " " + call.plugin.version + " (" +
                       call.plugin.path.string() + ")"});
}

}  // namespace

void throw_failure(const ObjectiveCall& call, const char* function, const tenon_error& error) {
  if (error.text.empty()) throw_bug(call, std::string(function) + " failed without a message");
  fail(call, error.text);
}

void throw_bug(const ObjectiveCall& call, const std::string& what) {
  fail(call, "plugin bug: " + what);
}

}  // namespace tenon
