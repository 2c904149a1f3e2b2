// Lines in the program's log.
#pragma once

#include <string>

#include "tenon/cpp/tensor.hpp"

namespace tenon __attribute__((visibility("hidden"))) {

  // `origin`: the id of the layer type or plugin.
  inline void log_warning(const char* origin, const std::string& text) {
    detail::host->log(TENON_LOG_WARNING, origin, text.c_str());
  }
  inline void log_info(const char* origin, const std::string& text) {
    detail::host->log(TENON_LOG_INFO, origin, text.c_str());
  }

}  // namespace tenon
