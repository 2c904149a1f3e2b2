#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capture/recording.h"

namespace tenon {

// A place in a recording: an argument of a node, or one item of a list (`item` >= 0). The outputs
// count as arguments of a node after the last.
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
  // Arguments that the first run could not tell from another value, which the second shows to be
  // meant: its own is that tensor itself (Recording::given_back).
  std::vector<std::pair<ConstantPlace, ValueId>> meant;
  // The second run's node for each of the first's.
  std::vector<std::size_t> partners;
  // Nodes that count BatchNorm's batches: only a run in training mode has them. In the second run.
  std::vector<std::size_t> counters;
};

Alignment align(const Recording& one, const Recording& other,
                const std::vector<ModelTensor>& tensors);

// Where a run on inputs with a size of one parts from `one`. There a tensor may be contiguous as it
// is, for which LibTorch calls no operator: that is no other way.
std::optional<Parting> parting_of_one_row(const Recording& one, const Recording& other,
                                          const std::vector<ModelTensor>& tensors);

// The constant at a place; what stands at the same place of the other run has the same kind.
c10::IValue constant_at(const Graph& graph, const ConstantPlace& place);

// "aten::view, the 7th operator, after `seq.0`".
std::string place_text(const Graph& graph, std::size_t node);

}  // namespace tenon
