#pragma once

#include <tenon/callable_model.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace tenon {

// Dimensions of a model's inputs that vary together.
struct SizeGroup {
  std::vector<std::pair<std::size_t, std::int64_t>> places;  // (input, dimension)
  std::int64_t size = 0;                                     // in the example
  std::vector<std::int64_t> others;  // sizes that the model's own forward takes too
  bool is_batch = false;             // holds dimension 0 of the first input
};

// The inputs with other sizes in the groups' dimensions; rows are repeated or left out.
std::vector<at::Tensor> resized(const std::vector<at::Tensor>& inputs,
                                const std::vector<std::pair<SizeGroup, std::int64_t>>& sizes);

// Which dimensions the model lets vary: dimensions 0 of one size together, the others where sizes
// agree together, each alone where not. `accepts` runs the model's forward. The batch comes first.
std::vector<SizeGroup> probe_sizes(
    const std::vector<at::Tensor>& inputs,
    const std::function<bool(const std::vector<at::Tensor>&)>& accepts);

}  // namespace tenon
