#pragma once

#include <c10/util/Exception.h>

#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/path_problem.h"

namespace tenon {

// Runs the body of a public function: whatever it throws leaves it as an Error. `doing` goes on
// from "could not".
template <class Body>
decltype(auto) guarded(Stage stage, const char* doing, Body&& body) {
  const auto fail = [&](const std::string& why, const char* hint) {
    return Error(
        {.stage = stage, .message = std::string("could not ") + doing + ": " + why, .hint = hint});
  };
  try {
    return std::forward<Body>(body)();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw fail("there was not enough memory", "nothing was changed; free some and try again");
  } catch (const c10::Error& error) {
    throw fail(error.what_without_backtrace(), "");
  } catch (const std::filesystem::filesystem_error& error) {
    throw path_problem(error, stage);
  } catch (const std::exception& error) {
    throw fail(error.what(), "");
  } catch (...) {
    throw fail("something was thrown that is no std::exception", "");
  }
}

}  // namespace tenon
