#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/error.h"

namespace tenon::testing {

// The whole text that a user would see of the Error that `action` throws; fails if it throws none.
inline std::string error_text(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no tenon::Error was thrown";
  return "";
}

}  // namespace tenon::testing
