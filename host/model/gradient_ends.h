#pragma once

#include <string>
#include <vector>

#include "graph/subgraph.h"

namespace tenon {

// Where gradients end on their way back from the model's first output: at operators whose result
// does not depend smoothly on what they read (comparisons, rounding, casts to whole numbers), at
// detach, and where the model's code switches gradients off. Borrows the model.
class GradientEnds {
 public:
  explicit GradientEnds(const ModelData& model);

  // Whether the first output depends on what these calls give.
  bool influences(const std::vector<Subgraph>& calls) const;
  // If it does, and no gradient comes back to them: the first operator in the way and why, such as
  // "aten::gt in `act`, a comparison"; else "".
  std::string end_of(const std::vector<Subgraph>& calls) const;

 private:
  const ModelData& model_;
  std::vector<bool> influences_;  // by value: whether the first output depends on it
  std::vector<bool> reached_;     // by value: whether its gradient comes back
};

}  // namespace tenon
