#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace tenon {

// A table of the model that the ids of one of its inputs are looked up in.
struct IdTable {
  std::size_t input = 0;    // of ModelData::inputs
  std::int32_t node = 0;    // of Graph::nodes: what looks them up
  std::int64_t rows = 0;    // ids are 0 to rows - 1
  std::string module = {};  // "`embedding` (torch.nn.Embedding)", "" where none is known
};

// Those of which every id of the input is looked up as it came.
std::vector<IdTable> id_tables(const ModelData& model);

// "`ids` holds 700 in row 150, column 3, and 2 more such; `embedding` (torch.nn.Embedding) has 100
// rows, counted from 0"; nothing where all ids are in the table.
std::optional<std::string> bad_id(const at::Tensor& ids, const std::string& name,
                                  const IdTable& table);

// "row 150", "row 150, column 3", "row 150, place [3, 0]": where an element of `tensor` lies, by
// its number in a contiguous copy.
std::string place_text(const at::Tensor& tensor, std::int64_t element);

}  // namespace tenon
