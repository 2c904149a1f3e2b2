#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "pt2/pt2_archive.h"

namespace tenon::pt2 {

// A tensor that a program gets in place of its own, of the same dtype and shape.
struct TensorChange {
  std::string name;   // in the state dict
  at::Tensor tensor;  // undefined: the name keeps its own
  // Of a tensor that the model holds under several names, when not all of them change alike: all
  // names, and the operators (by the name of their first result) that read this one from now on.
  std::vector<std::string> tied;
  std::vector<std::string> readers;
};

// Writes the program with its changes as torch.export.load reads it, piece by piece: the entries of
// `source` as they are, but for the table of the tensors, entries for the changed ones, and where
// tied names part, the graph's inputs. Throws Error{Stage::kOutput} for a reader that the graph
// does not have.
void write_changed(const Pt2Archive& source, const std::vector<TensorChange>& changes,
                   const std::function<void(std::string_view)>& sink);

}  // namespace tenon::pt2
