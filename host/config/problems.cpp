#include "config/problems.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/error.h"

namespace tenon {

bool Place::operator<(const Place& other) const {
  return std::tie(overridden, line, column) < std::tie(other.overridden, other.line, other.column);
}

void Problems::add(Place place, std::string text) {
  found_.push_back({std::move(place), std::move(text)});
}

void Problems::throw_if_any(const std::string& file) const {
  if (found_.empty()) return;
  if (found_.size() == 1) {
    throw Error{{.stage = Stage::kConfig,
                 .message = found_.front().text,
                 .location = found_.front().place.text}};
  }
  std::vector<Problem> ordered = found_;
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const Problem& a, const Problem& b) { return a.place < b.place; });
  std::string message = std::to_string(ordered.size()) + " problems in " + file;
  for (const Problem& problem : ordered) message += "\n" + problem.place.text + ": " + problem.text;
  throw Error{{.stage = Stage::kConfig, .message = message}};
}

}  // namespace tenon
