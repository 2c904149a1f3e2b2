// The only place where exceptions are turned into statuses.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "tenon/cpp/tensor.hpp"

namespace tenon __attribute__((visibility("hidden"))) {
  namespace detail {

  inline void set_failure(const char* id, const char* function, tenon_error* error,
                          tenon_status status, const char* reason) {
    const std::string text = std::string(id) + ": " + function + ": " + reason;
    host->set_error(error, status, text.c_str());
  }

  // Tells why the exception in flight was thrown; of a host's function that failed, the host has
  // filled the sink already.
  inline tenon_status tell(const char* id, const char* function, tenon_error* error) {
    try {
      throw;
    } catch (const HostFailure& failure) {
      return failure.status;
    } catch (const Failure& failure) {
      set_failure(id, function, error, failure.status(), failure.what());
      return failure.status();
    } catch (const std::bad_alloc&) {
      set_failure(id, function, error, TENON_OUT_OF_MEMORY, "out of memory");
      return TENON_OUT_OF_MEMORY;
    } catch (const std::exception& exception) {
      set_failure(id, function, error, TENON_INTERNAL, exception.what());
    } catch (...) {
      set_failure(id, function, error, TENON_INTERNAL, "an exception of unknown type");
    }
    return TENON_INTERNAL;
  }

  // Runs `body`; whatever it throws becomes a status and a text "id: function: reason".
  template <typename Body>
  tenon_status fence(const char* id, const char* function, tenon_error* error, const Body& body) {
    tenon_error* const outer = std::exchange(error_sink, error);
    tenon_status status = TENON_OK;
    try {
      body();
    } catch (...) {
      status = tell(id, function, error);
    }
    error_sink = outer;
    return status;
  }

  }  // namespace detail
}  // namespace tenon
