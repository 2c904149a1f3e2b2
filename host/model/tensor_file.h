#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/existing.h"

namespace tenon {

class SafetensorsFile;

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// "F32", "BF16", ...; "" for a dtype that safetensors cannot hold.
std::string safetensors_dtype(at::ScalarType dtype);

// Tensors of a safetensors file, aliasing its private mapping (misaligned ones are copied).
NamedTensors read_tensor_file(const std::filesystem::path& path, Stage stage);
NamedTensors tensors_of(const SafetensorsFile& file);

// Contiguous CPU copies where needed; metadata {"format": "pt"} as PEFT's. Atomic.
void write_tensor_file(const std::filesystem::path& path, const NamedTensors& tensors,
                       Existing existing = Existing::kReplaced,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace tenon
