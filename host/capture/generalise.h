#pragma once

#include <string>
#include <variant>
#include <vector>

#include "capture/alignment.h"
#include "capture/size_expressions.h"

namespace tenon {

// Why runs with other sizes do not make one graph, and which runs disagree with the first.
struct NotGeneral {
  std::size_t node = 0;
  std::string what;
  std::vector<std::size_t> runs;
};

// A graph, and where in it the nodes of the first run are.
struct General {
  Graph graph;
  std::vector<std::size_t> positions;
};

// One graph from runs of the same forward with other sizes: integers that differ become arithmetic
// on sizes; a number that the model read out of a tensor, the same in all runs, is checked in each
// run to come.
std::variant<General, NotGeneral> generalise(const std::vector<Recording>& runs,
                                             const std::vector<SizeSymbol>& symbols,
                                             const std::vector<ModelTensor>& tensors);

// Adds to the graph what a run in training mode shows beside the first run, in evaluation mode:
// which flags follow the mode, with training's values, and BatchNorm's counters. Returns where the
// modes part.
std::optional<Parting> add_training(General& general, const Recording& evaluation,
                                    const Recording& training,
                                    const std::vector<ModelTensor>& tensors);

}  // namespace tenon
