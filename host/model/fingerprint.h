#pragma once

#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace tenon {

// One value over (name, dtype, shape, CRC-32 of the contiguous bytes) of the model's parameters, no
// buffers, sorted by name; the same whatever file they came from. Uses ModelTensor::crc32 where it
// is known, reads the tensor otherwise. "crc32-sha256:<64 hex digits>".
std::string base_fingerprint(std::span<const ModelTensor> tensors);

}  // namespace tenon
