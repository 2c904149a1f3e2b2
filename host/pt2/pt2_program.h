#pragma once

#include <c10/core/ScalarType.h>

#include <filesystem>
#include <optional>

#include "graph/graph.h"

namespace tenon {

// Reads a file written by torch.export.save into the one representation. Weights alias the mapped
// archive (nothing is copied); tied weights share one tensor; strides and storage offsets are kept.
// Pickled entries are never read. `verify`: the weights' checksums are checked, for which they are
// all read. `dtype`: what the program shall run in, whatever it was exported in (dtype_change.h).
// Throws Error{Stage::kModel}: a damaged file, an unknown schema, an argument kind or higher-order
// operator that is not supported (all of them listed at once).
ModelData read_pt2_program(const std::filesystem::path& path, bool verify = false,
                           std::optional<at::ScalarType> dtype = std::nullopt);

}  // namespace tenon
