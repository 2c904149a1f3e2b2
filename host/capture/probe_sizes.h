#pragma once

#include <tenon/callable_model.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace tenon {

// Dimensions of a model's inputs that vary together.
struct SizeGroup {
  std::vector<std::pair<std::size_t, std::int64_t>> places;  // (input, dimension)
  std::int64_t size = 0;                                     // in the example
  std::vector<std::int64_t> others;  // sizes that the model's own forward takes too
  std::vector<std::int64_t> far;  // and a much smaller and larger one: a branch may be a threshold
  std::int64_t smallest = 1;      // that the capture is right for
  bool is_batch = false;          // holds dimension 0 of the first input
};

using GroupSizes = std::vector<std::pair<SizeGroup, std::int64_t>>;

// The group's size among these; where they do not name it, the example's.
std::int64_t size_in(const GroupSizes& sizes, const SizeGroup& group);

// "dimension 0 of `input`", as messages name it.
std::string places_text(const SizeGroup& group, const std::vector<InputSpec>& inputs);

// The inputs with other sizes in the groups' dimensions; rows are repeated or left out.
std::vector<at::Tensor> resized(const std::vector<at::Tensor>& inputs, const GroupSizes& sizes);

// Which dimensions the model lets vary: dimensions 0 of one size together, the others where sizes
// agree together, each alone where not. `accepts` runs the model's forward. The batch comes first.
std::vector<SizeGroup> probe_sizes(
    const std::vector<at::Tensor>& inputs,
    const std::function<bool(const std::vector<at::Tensor>&)>& accepts);

// Inputs of the same sizes in which whatever the model reads out of them is something else; the
// same if it takes no such.
std::vector<at::Tensor> other_data(
    const std::vector<at::Tensor>& inputs,
    const std::function<bool(const std::vector<at::Tensor>&)>& accepts);

}  // namespace tenon
