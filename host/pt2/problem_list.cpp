#include "pt2/problem_list.h"

#include <algorithm>

namespace tenon {
namespace {

// A damaged file can have as many problems as bytes, and a name as long as itself.
constexpr std::size_t kMostShown = 50;
constexpr std::size_t kLongestShown = 1000;

std::string shortened(const std::string& problem) {
  if (problem.size() <= kLongestShown) return problem;
  return problem.substr(0, kLongestShown / 2) + " ... " +
         problem.substr(problem.size() - kLongestShown / 2);
}

}  // namespace

void ProblemList::throw_if_any(const std::string& summary, const std::string& hint) const {
  if (problems_.empty()) return;
  std::string message = summary + ":";
  const std::size_t shown = std::min(problems_.size(), kMostShown);
  for (std::size_t i = 0; i < shown; ++i) message += "\n  - " + shortened(problems_[i]);
  if (shown < problems_.size()) {
    message += "\n  - and " + std::to_string(problems_.size() - shown) + " more";
  }
  throw Error{{.stage = Stage::kModel, .message = message, .hint = hint, .location = location_}};
}

}  // namespace tenon
