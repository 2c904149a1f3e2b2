#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace tenon {

// One stored entry of the archive, name without the archive's top folder ("models/model.json").
struct Pt2Entry {
  std::string name;
  std::span<std::byte> bytes;  // in the mapping
  std::uint32_t crc32 = 0;     // from the central directory, not recomputed
};

// The zip container of an exported program, mapped and validated before anything is read from it:
// end record and central directory (zip64 too) in bounds, entries stored (never compressed or
// encrypted), names unique and relative, every byte range inside the file and none overlapping.
// Other kinds of file are refused by what they are: TorchScript, a pickle checkpoint, an
// AOTInductor package, an ExecuTorch program, safetensors, not a zip at all, a truncated zip.
class Pt2Archive {
 public:
  explicit Pt2Archive(const std::filesystem::path& path);  // throws Error{Stage::kModel}

  const Pt2Entry* find(std::string_view name) const;
  // Its bytes, checked against the directory's CRC-32: for entries that are read in full anyway.
  // (Weights are mapped and not read before they are used.)
  std::string_view text(const Pt2Entry& entry) const;  // throws Error{Stage::kModel}
  // Sorted by name.
  const std::vector<Pt2Entry>& entries() const { return entries_; }
  const std::shared_ptr<MappedFile>& mapping() const { return mapping_; }

 private:
  std::shared_ptr<MappedFile> mapping_;
  std::vector<Pt2Entry> entries_;
};

// Throws Error{Stage::kModel}: the bytes of these entries are not those of their checksums.
[[noreturn]] void refuse_damaged_entries(const Pt2Archive& archive,
                                         std::vector<std::string> entries);

}  // namespace tenon
