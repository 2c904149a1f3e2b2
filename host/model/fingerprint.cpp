#include "model/fingerprint.h"

#include <algorithm>
#include <cstdint>

#include "base/hash.h"
#include "graph/tensor_checksum.h"
#include "model/tensor_file.h"

namespace tenon {
namespace {

std::uint32_t contents_crc32(const ModelTensor& entry) {
  if (entry.crc32 >= 0) return static_cast<std::uint32_t>(entry.crc32);
  return tensor_crc32(entry.tensor);
}

// "seq.0.weight F32 2000,20 3735928559\n"; names hold no newline, so lines cannot run together.
std::string line_of(const ModelTensor& entry) {
  std::string shape;
  for (const std::int64_t size : entry.tensor.sizes()) {
    shape += (shape.empty() ? "" : ",") + std::to_string(size);
  }
  return entry.name + " " + safetensors_dtype(entry.tensor.scalar_type()) + " " + shape + " " +
         std::to_string(contents_crc32(entry)) + "\n";
}

}  // namespace

std::string base_fingerprint(std::span<const ModelTensor> tensors) {
  std::vector<std::string> lines;
  for (const ModelTensor& entry : tensors) {
    if (entry.kind == ValueKind::kParameter) lines.push_back(line_of(entry));
  }
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) text += line;
  return "crc32-sha256:" + sha256_hex(text);
}

}  // namespace tenon
