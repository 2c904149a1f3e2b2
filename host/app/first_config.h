#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "graph/graph.h"

namespace tenon {

// The keys of the method's that a first config sets.
struct FirstKeys {
  std::string method;
  std::string rank;
  std::string alpha;
};

// A config that adapts an exported program, with comments for who has written none before:
// what may be named, which tensors the data must hold, and a loss that fits the model's output. It
// is planned as it stands. `is_supported` says whether a plugin adapts layers of a type.
std::string first_config(const ModelData& model, const std::filesystem::path& program,
                         const FirstKeys& keys,
                         const std::function<bool(const std::string&)>& is_supported);

}  // namespace tenon
