#include "start/observation.h"

#include <string>

#include "plugin/host_table.h"
#include "plugin/plugin_registry.h"
#include "plugin/running_plugin.h"

namespace tenon {
namespace {

// The second line of a plugin's text says what to do.
Failure failure_of(std::string text) {
  Failure failure;
  const std::size_t line = text.find('\n');
  failure.message = text.substr(0, line);
  if (line != std::string::npos) {
    failure.hint = text.substr(std::min(text.find_first_not_of(" \n", line), text.size()));
  }
  return failure;
}

// "road: observe: " before the reason, by which the C++ kit names the function.
std::string without_function(const std::string& text, const std::string& method) {
  if (!text.starts_with(method + ": ")) return text;
  const std::size_t colon = text.find(": ", method.size() + 2);
  return colon == std::string::npos ? text : text.substr(colon + 2);
}

}  // namespace

Observation::Observation(const InjectionPlan& plan, const ObservedLayers& layers)
    : plan_(plan), layers_(layers), method_(*plan.method) {
  const RunningPlugin running(method_.plugin().id.c_str(), "data_start");
  tenon_error error;
  require(
      method_.data_start()->begin(method_.self(), &host_table(), &layers.run(), &state_, &error),
      "data_start", error);
}

Observation::~Observation() {
  if (method_.data_start()->release == nullptr) return;
  const RunningPlugin running(method_.plugin().id.c_str(), "release");
  method_.data_start()->release(method_.self(), &host_table(), state_);
}

void Observation::require(tenon_status status, const char* function,
                          const tenon_error& error) const {
  if (status == TENON_OK) return;
  const PluginInfo& plugin = method_.plugin();
  Failure failure = failure_of(error.text.empty() ? "plugin bug: " + method_.name() + ": " +
                                                        function + " failed without a message"
                                                  : without_function(error.text, method_.name()));
  failure.stage = status == TENON_UNSUPPORTED ? Stage::kInjection : Stage::kTraining;
  if (status == TENON_UNSUPPORTED) failure.location = plan_.config.location;
  if (failure.hint.empty()) {
    failure.hint = "the method comes from plugin " + plugin.id + " " + plugin.version + " (" +
                   plugin.path.string() + ")";
  }
  throw Error(std::move(failure));
}

void Observation::observe(const tenon_observed& call) {
  const RunningPlugin running(method_.plugin().id.c_str(), "observe");
  tenon_error error;
  require(method_.data_start()->observe(method_.self(), &host_table(), &layers_.run(), &call,
                                        state_, &error),
          "observe", error);
}

bool Observation::after_batch() {
  const RunningPlugin running(method_.plugin().id.c_str(), "after_batch");
  tenon_error error;
  std::uint32_t done = 0;
  require(method_.data_start()->after_batch(method_.self(), &host_table(), &layers_.run(), state_,
                                            &done, &error),
          "after_batch", error);
  return done != 0;
}

void Observation::finish(tenon_started& started) {
  const RunningPlugin running(method_.plugin().id.c_str(), "finish");
  tenon_error error;
  require(method_.data_start()->finish(method_.self(), &host_table(), &layers_.run(), state_,
                                       &started, &error),
          "finish", error);
}

}  // namespace tenon
