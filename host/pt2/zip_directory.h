#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

// One record of a zip file's central directory: what it claims, not yet checked against the others.
struct ZipRecord {
  std::string name;
  bool encrypted = false;
  bool stored = false;  // neither compressed nor transformed
  std::uint64_t size = 0;
  std::uint64_t header_offset = 0;  // of the local header
  std::uint32_t crc32 = 0;
};

// Reads the structure of a zip file (with the zip64 extension). Every access is bounds-checked; a
// damaged file throws Error{Stage::kModel} with `location`.
class ZipDirectory {
 public:
  ZipDirectory(std::span<const std::byte> bytes, std::string location);

  const std::vector<ZipRecord>& records() const { return records_; }
  // Where the central directory starts: all data lies before it.
  std::uint64_t begin() const { return begin_; }
  // The first byte of the record's data. Its end may still lie outside the file.
  std::uint64_t data_offset(const ZipRecord& record) const;

 private:
  template <typename Integer>
  Integer read(std::uint64_t offset) const;
  std::string_view text(std::uint64_t offset, std::uint64_t size) const;
  std::uint64_t find_end_record() const;
  std::uint64_t read_record(std::uint64_t offset);
  void apply_zip64(ZipRecord& record, std::uint64_t extra, std::uint64_t extra_end,
                   std::uint64_t packed_size) const;
  [[noreturn]] void damaged(const std::string& what) const;

  std::span<const std::byte> bytes_;
  std::string location_;
  std::uint64_t begin_ = 0;
  std::vector<ZipRecord> records_;
};

}  // namespace tenon
