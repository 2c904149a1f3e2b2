#include "model/problem_list.h"

namespace tenon {

void ProblemList::throw_if_any(const std::string& summary, const std::string& hint) const {
  if (problems_.empty()) return;
  std::string message = summary + ":";
  for (const std::string& problem : problems_) message += "\n  - " + problem;
  throw Error{{.stage = Stage::kModel, .message = message, .hint = hint, .location = location_}};
}

}  // namespace tenon
