#include "check/host_probe.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "check/child_findings.h"
#include "check/function_probe.h"
#include "plugin/handles.h"
#include "plugin/host_table.h"
#include "plugin/operator_table.h"

namespace tenon {
namespace {

// Counted down by each call of this thread; 0: nothing is forced.
thread_local std::uint64_t calls_until_failure = 0;
thread_local std::uint64_t calls_made = 0;
thread_local std::string forced_at;

using Standing = HandleWatch::Standing;

}  // namespace

thread_local int HostProbe::watched_depth = 0;

// What stands in the table: each looks, then asks the real host.
struct ProbedFunctions {
  // Whether this call is to fail by force.
  static bool fails(const char* function, tenon_error* error) {
    ++calls_made;
    if (calls_until_failure == 0 || --calls_until_failure > 0) return false;
    forced_at = "call " + std::to_string(calls_made) + " (" + function + ")";
    if (error != nullptr) *error = {TENON_OPERATOR_FAILED, "failed by force at " + forced_at};
    return true;
  }

  static tenon_status refuse(tenon_error* error, const char* rule, const std::string& text) {
    probe().report(rule, text);
    if (error != nullptr) *error = {TENON_INVALID_ARGUMENT, text};
    return TENON_INVALID_ARGUMENT;
  }

  // TENON_OK if the handle may be used.
  static tenon_status look_at(tenon_tensor handle, const char* function, tenon_error* error) {
    const Standing standing = probe().handles_.standing(handle);
    if (standing == Standing::kExpired) {
      return refuse(error, "borrowed",
                    std::string(function) +
                        " was given a tensor handle that had been lent for an earlier call");
    }
    if (standing == Standing::kReleased) {
      return refuse(error, "handles",
                    std::string(function) + " was given a tensor handle after its release");
    }
    return TENON_OK;
  }

  static tenon_status look_at_all(const tenon_tensor* handles, std::uint32_t n,
                                  const char* function, tenon_error* error) {
    for (std::uint32_t i = 0; i < n; ++i) {
      if (const auto status = look_at(handles[i], function, error)) return status;
    }
    return TENON_OK;
  }

  static tenon_status look_at_pointer(const void* borrowed, const char* what, const char* function,
                                      tenon_error* error) {
    // Outside of the watched functions, in a method's, nothing is known of what was lent.
    if (HostProbe::watched_depth == 0 || probe().is_open(borrowed)) return TENON_OK;
    return refuse(error, "borrowed",
                  std::string(function) + " was given the " + what + " of an earlier call");
  }

  static const void* extension(const char* id) {
    return std::string_view(id) == TENON_AUTOGRAD ? &probed_autograd() : host_table().extension(id);
  }

  static void set_error(tenon_error* error, tenon_status status, const char* text) {
    if (error != nullptr && look_at_pointer(error, "tenon_error", "set_error", nullptr) != TENON_OK)
      return;
    host_table().set_error(error, status, text);
  }

  static tenon_status option(const tenon_setup* setup, const char* key, tenon_value* out,
                             tenon_error* error) {
    if (look_at_pointer(setup, "tenon_setup", "option", error) != TENON_OK)
      return TENON_INVALID_ARGUMENT;
    if (fails("option", error)) return TENON_OPERATOR_FAILED;
    return host_table().option(setup, key, out, error);
  }

  static tenon_status add_parameter(tenon_setup* setup, const tenon_parameter* parameter,
                                    std::uint32_t* index, tenon_error* error) {
    if (look_at_pointer(setup, "tenon_setup", "add_parameter", error) != TENON_OK)
      return TENON_INVALID_ARGUMENT;
    if (fails("add_parameter", error)) return TENON_OPERATOR_FAILED;
    return host_table().add_parameter(setup, parameter, index, error);
  }

  static tenon_status attribute(const tenon_base* base, const char* name, tenon_value* out,
                                tenon_error* error) {
    if (look_at_pointer(base, "tenon_base", "attribute", error) != TENON_OK) {
      return TENON_INVALID_ARGUMENT;
    }
    if (fails("attribute", error)) return TENON_OPERATOR_FAILED;
    return host_table().attribute(base, name, out, error);
  }

  static tenon_status retain(tenon_tensor borrowed, tenon_tensor* owned, tenon_error* error) {
    if (const auto status = look_at(borrowed, "retain", error)) return status;
    if (fails("retain", error)) return TENON_OPERATOR_FAILED;
    const tenon_status status = host_table().retain(borrowed, owned, error);
    if (status == TENON_OK) probe().handles_.own(*owned, "retain");
    return status;
  }

  // The handle's address stays taken, so that a later use is recognised; its tensor is freed.
  static void release(tenon_tensor owned) {
    if (owned == nullptr) return;
    const Standing before = probe().handles_.give_up(owned);
    if (before == Standing::kOwned) from_handle(owned) = at::Tensor();
    if (before == Standing::kUnknown) host_table().release(owned);
    if (before == Standing::kLent || before == Standing::kExpired) {
      probe().report("handles", "release was given a borrowed tensor handle");
    } else if (before == Standing::kReleased) {
      probe().report("handles", "release was given the same tensor handle twice");
    }
  }

  static tenon_status describe(tenon_tensor tensor, tenon_tensor_info* out, tenon_error* error) {
    if (const auto status = look_at(tensor, "describe", error)) return status;
    if (fails("describe", error)) return TENON_OPERATOR_FAILED;
    return host_table().describe(tensor, out, error);
  }

  static tenon_status resolve(const char* name, const char* overload, tenon_op** out,
                              tenon_error* error) {
    if (fails("resolve", error)) return TENON_OPERATOR_FAILED;
    return host_table().resolve(name, overload, out, error);
  }

  static tenon_status call(tenon_op* op, const tenon_value* arguments, std::uint32_t n,
                           tenon_value* results, std::uint32_t m, tenon_error* error) {
    const std::string name = op->schema.name();
    for (std::uint32_t i = 0; i < n; ++i) {
      const tenon_value& value = arguments[i];
      if (value.tag == TENON_VALUE_TENSOR) {
        if (const auto status = look_at(value.u.t, name.c_str(), error)) return status;
      }
      if (value.tag != TENON_VALUE_TENSOR_LIST) continue;
      if (const auto status = look_at_all(value.u.ts, value.n, name.c_str(), error)) return status;
    }
    if (fails(name.c_str(), error)) return TENON_OPERATOR_FAILED;
    const tenon_status status = host_table().call(op, arguments, n, results, m, error);
    for (std::uint32_t i = 0; status == TENON_OK && i < m; ++i) own_result(results[i], name);
    return status;
  }

  static void own_result(const tenon_value& result, const std::string& origin) {
    if (result.tag == TENON_VALUE_TENSOR && result.u.t != nullptr) {
      probe().handles_.own(result.u.t, origin);
    }
    if (result.tag != TENON_VALUE_TENSOR_LIST) return;
    for (std::uint32_t i = 0; i < result.n; ++i) {
      if (result.u.ts[i] != nullptr) probe().handles_.own(result.u.ts[i], origin);
    }
  }

  static void release_results(tenon_value* results, std::uint32_t m) {
    for (std::uint32_t i = 0; i < m; ++i) {
      if (results[i].tag == TENON_VALUE_TENSOR) {
        release(results[i].u.t);
        results[i].u.t = nullptr;
      }
      if (results[i].tag != TENON_VALUE_TENSOR_LIST) continue;
      // The array is the host's own, made by `call`; emptied, only it is freed below.
      auto* items = const_cast<tenon_tensor*>(results[i].u.ts);
      for (std::uint32_t item = 0; item < results[i].n; ++item) {
        release(items[item]);
        items[item] = nullptr;
      }
    }
    host_table().release_results(results, m);
  }

  static tenon_status run_base(tenon_call_context* context, const tenon_tensor* inputs,
                               std::uint32_t n_inputs, const std::uint32_t* replaced,
                               const tenon_tensor* replacements, std::uint32_t n_replaced,
                               tenon_tensor* outputs, std::int32_t* may_overwrite,
                               std::uint32_t n_outputs, tenon_error* error) {
    if (context != nullptr) {
      if (const auto status = look_at_pointer(context, "context", "run_base", error)) return status;
    }
    const std::uint32_t n_given = inputs != nullptr ? n_inputs : 0;
    if (const auto status = look_at_all(inputs, n_given, "run_base", error)) return status;
    if (const auto status = look_at_all(replacements, n_replaced, "run_base", error)) return status;
    if (fails("run_base", error)) return TENON_OPERATOR_FAILED;
    const tenon_status status =
        host_table().run_base(context, inputs, n_inputs, replaced, replacements, n_replaced,
                              outputs, may_overwrite, n_outputs, error);
    for (std::uint32_t i = 0; status == TENON_OK && i < n_outputs; ++i) {
      probe().handles_.own(outputs[i], "run_base");
    }
    return status;
  }
};

HostProbe& HostProbe::instance() {
  static HostProbe probe;
  return probe;
}

HostProbe::HostProbe() : table_(host_table()) {
  table_.extension = ProbedFunctions::extension;
  table_.set_error = ProbedFunctions::set_error;
  table_.option = ProbedFunctions::option;
  table_.add_parameter = ProbedFunctions::add_parameter;
  table_.attribute = ProbedFunctions::attribute;
  table_.retain = ProbedFunctions::retain;
  table_.release = ProbedFunctions::release;
  table_.describe = ProbedFunctions::describe;
  table_.resolve = ProbedFunctions::resolve;
  table_.call = ProbedFunctions::call;
  table_.release_results = ProbedFunctions::release_results;
  table_.run_base = ProbedFunctions::run_base;
}

tenon_status HostProbe::before_call(const char* function, const tenon_tensor* handles,
                                    std::uint32_t n, tenon_error* error) {
  if (const auto status = ProbedFunctions::look_at_all(handles, n, function, error)) return status;
  return ProbedFunctions::fails(function, error) ? TENON_OPERATOR_FAILED : TENON_OK;
}

void HostProbe::step(const std::string& text) const {
  if (channel_ != nullptr) channel_->step(text);
}

void HostProbe::report(const std::string& rule, const std::string& detail) {
  const std::lock_guard lock(mutex_);
  const bool known = std::any_of(findings_.begin(), findings_.end(), [&](const Finding& finding) {
    return finding.rule == rule && finding.detail == detail;
  });
  if (known) return;
  findings_.push_back({rule, RuleStatus::kFailed, detail});
  // At once, since the child may die of it.
  if (channel_ != nullptr) send_finding(*channel_, findings_.back());
}

Findings HostProbe::findings() const {
  const std::lock_guard lock(mutex_);
  return findings_;
}

void HostProbe::force_failure(std::uint64_t k) {
  calls_until_failure = k;
  calls_made = 0;
  forced_at.clear();
}

std::string HostProbe::forced_failure() const { return forced_at; }

tenon_tensor HostProbe::lend(const at::Tensor& tensor) {
  const tenon_tensor handle = new_handle(tensor);
  handles_.lend(handle);
  return handle;
}

void HostProbe::expire(tenon_tensor handle) {
  from_handle(handle) = at::Tensor();
  handles_.expire(handle);
}

at::Tensor HostProbe::take(tenon_tensor handle, std::string& fault) {
  const Standing before = handles_.give_up(handle);
  if (before == Standing::kUnknown) return take_handle(handle);
  if (before == Standing::kOwned) return std::exchange(from_handle(handle), at::Tensor());
  if (before == Standing::kReleased) fault = "was released or given away before";
  if (before == Standing::kLent) fault = "is borrowed; retain it first";
  if (before == Standing::kExpired) fault = "was lent for an earlier call";
  return before == Standing::kLent ? from_handle(handle) : at::Tensor();
}

void HostProbe::open(const void* borrowed) {
  const std::lock_guard lock(mutex_);
  ++open_[borrowed];
}

void HostProbe::close(const void* borrowed) {
  const std::lock_guard lock(mutex_);
  --open_[borrowed];
}

bool HostProbe::is_open(const void* borrowed) const {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(borrowed);
  return found != open_.end() && found->second > 0;
}

}  // namespace tenon
