#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "graph/graph.h"
#include "pt2/pt2_schema.h"

namespace tenon::pt2 {

// A higher-order operator that runs one graph once, perhaps under a setting of its own.
struct Wrapper {
  std::shared_ptr<Graph> graph;
  std::vector<Argument> operands;  // for the graph's inputs
  std::string name;                // of a graph that several nodes may run; else ""
  std::variant<std::monostate, GradientSetting, AutocastSetting> setting;
};

// nullopt for any other operator. Throws std::invalid_argument with the reason if the arguments are
// not those of such an operator.
std::optional<Wrapper> find_wrapper(const Node& node);

}  // namespace tenon::pt2
