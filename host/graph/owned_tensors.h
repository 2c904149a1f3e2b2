#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "graph/subgraph.h"

namespace tenon {

// A tensor of ModelData::tensors as a module holds it.
struct OwnedTensor {
  std::int32_t tensor = -1;
  std::string name;  // below the module: "weight", "out_proj.weight"
};

// Which tensors each module and its descendants own, by name or alias. Built once, so that asking
// for one module costs what the module has.
class OwnedTensors {
 public:
  explicit OwnedTensors(const std::vector<ModelTensor>& tensors);
  // In model order; a tensor that the module holds under several names stands under the first.
  std::vector<OwnedTensor> of(std::string_view path) const;

 private:
  struct Entry {
    std::string name;
    std::int32_t tensor;
    std::int32_t rank;  // 0 its own name, then its aliases
  };
  std::vector<Entry> entries_;  // by name
};

// Of what a module owns, the buffers and the parameters that some of its calls read.
std::vector<OwnedTensor> used_by(const std::vector<OwnedTensor>& owned,
                                 const std::vector<Subgraph>& calls,
                                 const std::vector<ModelTensor>& tensors);

}  // namespace tenon
