#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capture/recording.h"

namespace tenon {

// A constant in a recording: an argument of a node, or one number of a list (`item` >= 0).
struct ConstantPlace {
  std::size_t node = 0;
  std::size_t argument = 0;
  std::int32_t item = -1;
  bool operator==(const ConstantPlace&) const = default;
};

// Where two runs stop doing the same.
struct Parting {
  std::size_t node = 0;  // of the first run; its number of nodes if only the outputs differ
  std::string what;
};

// Two runs of one forward, operator by operator.
struct Alignment {
  std::optional<Parting> parting;
  // Constants that differ, in the first run; filled up to the parting.
  std::vector<ConstantPlace> differing;
  // The second run's node for each of the first's.
  std::vector<std::size_t> partners;
  // Nodes that count BatchNorm's batches: only a run in training mode has them. In the second run.
  std::vector<std::size_t> counters;
};

Alignment align(const Recording& one, const Recording& other,
                const std::vector<ModelTensor>& tensors);

// The constant at a place; what stands at the same place of the other run has the same kind.
c10::IValue constant_at(const Graph& graph, const ConstantPlace& place);

// "aten::view, the 7th operator, after `seq.0`".
std::string place_text(const Graph& graph, std::size_t node);

}  // namespace tenon
