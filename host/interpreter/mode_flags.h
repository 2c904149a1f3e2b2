#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "interpreter/operands.h"

// Train and eval from one export: which arguments of the graph follow the mode of the run.
namespace tenon {

// The flag of dropout, batch_norm, instance_norm and the recurrent operators; the probability of
// attention's dropout. nullopt for every other argument. A norm that keeps no statistics has no
// such flag: it goes by its input's own in both modes.
std::optional<Operand::Kind> mode_flag(const Node& node, const std::string& argument);

// BatchNorm's `num_batches_tracked += 1`, which a train() export carries as a node of its own.
bool counts_batches(const Node& node, const Graph& graph, const std::vector<ModelTensor>& tensors);

// Nodes that only assert what the exporter saw: the input check does it, in the user's words.
bool is_check_only(const Node& node);

}  // namespace tenon
