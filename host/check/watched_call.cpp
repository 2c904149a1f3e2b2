#include "check/watched_call.h"

#include <ATen/core/grad_mode.h>

#include <exception>
#include <map>

#include "check/host_probe.h"
#include "check/process_facts.h"
#include "plugin/handles.h"

namespace tenon {
namespace {

tenon_status escaped(const std::string& function, const std::string& what, tenon_error* error) {
  const std::string text = function + " let an exception out: " + what;
  probe().report("no-exceptions", text);
  if (error != nullptr) *error = {TENON_INTERNAL, text};
  return TENON_INTERNAL;
}

// "3 of run_base, 1 of aten::add"
std::string origins(const std::vector<HandleWatch::Owned>& owned) {
  std::map<std::string, int> counts;
  for (const auto& each : owned) ++counts[each.origin];
  std::string text;
  for (const auto& [origin, count] : counts) {
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " of " + origin;
  }
  return text;
}

}  // namespace

WatchedCall::WatchedCall(std::string function, std::vector<const void*> borrowed)
    : function_(std::move(function)),
      borrowed_(std::move(borrowed)),
      moment_(probe().handles().now()),
      threads_(probe().counts_threads ? thread_count() : 0),
      recorded_gradients_(at::GradMode::is_enabled()) {
  probe().step(function_ + " ran");
  for (const void* each : borrowed_) probe().open(each);
  ++HostProbe::watched_depth;
}

WatchedCall::~WatchedCall() {
  --HostProbe::watched_depth;
  for (const void* each : borrowed_) probe().close(each);
}

tenon_status WatchedCall::run(const std::function<tenon_status()>& body, tenon_error* error) {
  tenon_status status = TENON_OK;
  try {
    status = body();
  } catch (const std::exception& exception) {
    return escaped(function_, exception.what(), error);
  } catch (...) {
    return escaped(function_, "of unknown type", error);
  }
  if (status != TENON_OK && error != nullptr && error->text.empty()) {
    probe().report("says-why", function_ + " failed with status " + std::to_string(status) +
                                   " and no text; call host->set_error first");
  }
  return status;
}

void WatchedCall::finish() {
  const std::vector<HandleWatch::Owned> left = probe().handles().owned_since(moment_);
  if (!left.empty()) {
    const std::string forced = probe().forced_failure();
    probe().report("handles", function_ + " kept " + std::to_string(left.size()) +
                                  " owned handles (" + origins(left) + ")" +
                                  (forced.empty() ? "" : " when " + forced + " failed"));
    for (const auto& each : left) probe().handles().give_up(each.handle);
  }
  if (at::GradMode::is_enabled() != recorded_gradients_) {
    probe().report("no-grad", function_ + " left gradient recording switched " +
                                  (recorded_gradients_ ? "off" : "on"));
    at::GradMode::set_enabled(recorded_gradients_);
  }
  if (probe().counts_threads && thread_count() > threads_) {
    probe().report("no-threads", function_ + " started a thread that lives on");
  } else if (probe().counts_threads && has_children()) {
    probe().report("no-threads", function_ + " started a process");
  }
}

void take_outputs(const std::string& function, tenon_status status, bool optional,
                  const std::vector<tenon_tensor>& written, tenon_tensor* outputs) {
  for (std::size_t i = 0; i < written.size(); ++i) {
    const std::string which = function + ": output " + std::to_string(i) + " ";
    if (written[i] == nullptr) {
      if (status == TENON_OK && !optional) probe().report("outputs", which + "was left empty");
      continue;
    }
    std::string fault;
    at::Tensor tensor = probe().take(written[i], fault);
    if (status != TENON_OK) fault = "was written although the function failed";
    if (!fault.empty()) probe().report("outputs", which + fault);
    if (status == TENON_OK && tensor.defined()) outputs[i] = new_handle(std::move(tensor));
  }
}

}  // namespace tenon
