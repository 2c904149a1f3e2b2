#include "base/path_problem.h"

namespace tenon {

Error path_problem(const std::filesystem::filesystem_error& error, Stage stage) {
  return Error({.stage = stage,
                .message = "the path cannot be used: " + error.code().message(),
                .location = error.path1().string()});
}

}  // namespace tenon
