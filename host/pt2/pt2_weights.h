#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "pt2/pt2_archive.h"
#include "pt2/pt2_schema.h"

namespace tenon::pt2 {

struct Weights {
  std::vector<ModelTensor> tensors;
  // For each input of the program: its tensor, or -1 if it is not a parameter, buffer or constant.
  std::vector<std::int32_t> tensor_of_input;
};

// The tensors of the program in the order of its inputs, then those weights that no input uses (a
// state dict has them all). They alias the archive's mapping, one storage for each entry of the
// archive, and are copied only where the entry is misaligned. Throws Error{Stage::kModel} with
// every tensor that is missing, pickled, or outside its entry.
Weights read_weights(const Pt2Archive& archive, const std::vector<InputSpec>& inputs);

// Gives back the memory that reading such a tensor took, for one that is not needed again soon: its
// pages come from the file anew when it is read. Only of tensors that nobody wrote to; of others
// than read_weights' nothing is done.
void release_pages(const at::Tensor& tensor);

}  // namespace tenon::pt2
