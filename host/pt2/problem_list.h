#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace tenon {

// Collects what is wrong with a model file, so that all of it is reported at once.
class ProblemList {
 public:
  explicit ProblemList(std::string location) : location_(std::move(location)) {}

  void add(std::string problem) { problems_.push_back(std::move(problem)); }
  // Throws Error{Stage::kModel} if anything was added: `summary`, then one line for each problem.
  void throw_if_any(const std::string& summary, const std::string& hint) const;

 private:
  std::string location_;
  std::vector<std::string> problems_;
};

}  // namespace tenon
