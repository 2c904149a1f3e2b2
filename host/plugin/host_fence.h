#pragma once

#include <c10/util/Exception.h>
#include <tenon/status.h>

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "base/error.h"
#include "plugin/handles.h"

// Every function that plugins may call is a fence: what the host throws becomes a status and a
// text.
namespace tenon {

inline tenon_status set_failure(tenon_error* error, tenon_status status, std::string text) {
  if (error != nullptr) {
    error->status = status;
    error->text = std::move(text);
  }
  return status;
}

template <typename Body>
tenon_status fenced(tenon_error* error, Body body) {
  try {
    return body();
  } catch (const Error& failure) {
    return set_failure(error, TENON_INVALID_ARGUMENT, failure.what());
  } catch (const c10::Error& failure) {
    return set_failure(error, TENON_OPERATOR_FAILED, failure.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return set_failure(error, TENON_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& failure) {
    return set_failure(error, TENON_INTERNAL, failure.what());
  }
}

}  // namespace tenon
