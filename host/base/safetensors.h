#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/existing.h"
#include "base/file.h"

// The safetensors format (8 bytes header length, JSON header, raw little-endian tensors), without
// LibTorch. Reading validates everything before a single tensor is handed out: header length, JSON
// shape, dtype names, shape products (overflow), offsets inside the file, no overlap, no hole, each
// tensor's byte count equal to its shape.
namespace tenon {

// One tensor of a file. `dtype` is the format's name: F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL ...
struct SafetensorsEntry {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::span<std::byte> bytes;  // in the mapped file, or the caller's memory when writing
};

class SafetensorsFile {
 public:
  // Throws Error{stage} with the file, what is wrong, and what to do.
  SafetensorsFile(const std::filesystem::path& path, Stage stage);

  // In the order of their offsets in the file.
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }
  const SafetensorsEntry* find(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Keeps the mapping alive for tensors that alias it.
  const std::shared_ptr<MappedFile>& mapping() const { return mapping_; }

 private:
  std::shared_ptr<MappedFile> mapping_;
  std::vector<SafetensorsEntry> entries_;
  std::map<std::string, std::string> metadata_;
};

// Bytes per element of a format dtype; 0 for a name the format does not have.
std::size_t safetensors_item_size(std::string_view dtype);

// Writes atomically (base/file.h), byte for byte what Hugging Face's library writes: tensors by
// dtype (U64 I64 F64 C64 F32 U32 I32 BF16 F16 U16 I16, then one byte wide), then by name; header
// padded with spaces to 8 bytes. Throws Error{Stage::kOutput}.
void write_safetensors(const std::filesystem::path& path, std::vector<SafetensorsEntry> entries,
                       const std::map<std::string, std::string>& metadata,
                       Existing existing = Existing::kReplaced);

}  // namespace tenon
