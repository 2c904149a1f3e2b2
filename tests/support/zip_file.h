#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace tenon::testing {

// One entry of a zip file to write; the fields with a default are for damaging it.
struct ZipEntry {
  std::string name;
  std::string bytes;
  std::uint16_t method = 0;
  std::uint16_t flags = 0;
  std::optional<std::uint32_t> claimed_size = {};
  std::string local_name = {};  // if other than `name`
};

struct ZipOptions {
  std::size_t alignment = 64;  // of each entry's data, as torch writes them
  std::size_t shift = 0;       // bytes beyond that alignment
  bool zip64 = false;
  std::uint16_t extra_count = 0;  // entries claimed that are not there
};

// A zip file as torch writes it: entries stored and aligned, no sizes in the local headers.
class ZipFile {
 public:
  static std::string write(const std::vector<ZipEntry>& entries, const ZipOptions& options = {}) {
    ZipFile file;
    std::string directory;
    for (const ZipEntry& entry : entries) {
      ZipFile record;
      record.add_record(entry, file.add_data(entry, options));
      directory += record.bytes_;
    }
    const std::size_t begin = file.bytes_.size();
    file.bytes_ += directory;
    const auto count = static_cast<std::uint16_t>(entries.size() + options.extra_count);
    if (options.zip64) file.add_zip64_end(count, directory.size(), begin);
    file.add_end(options.zip64 ? 0xFFFF : count, options.zip64 ? 0xFFFFFFFF : directory.size(),
                 options.zip64 ? 0xFFFFFFFF : begin);
    return file.bytes_;
  }

 private:
  void add(std::uint64_t value, std::size_t size) {
    for (std::size_t index = 0; index < size; ++index) {
      bytes_ += index < 8 ? static_cast<char>(value >> (8 * index) & 0xFF) : '\0';
    }
  }

  std::size_t add_data(const ZipEntry& entry, const ZipOptions& options) {
    const std::string& name = entry.local_name.empty() ? entry.name : entry.local_name;
    const std::size_t header = bytes_.size();
    const std::size_t unpadded = header + 30 + name.size() + 4;
    const std::size_t padding =
        (options.alignment - unpadded % options.alignment) % options.alignment + options.shift;
    add(0x04034b50, 4);
    add(0, 10);
    add(0, 12);  // checksum and sizes stand in the directory only
    add(name.size(), 2);
    add(padding + 4, 2);
    bytes_ += name;
    add(0x4246, 2);
    add(padding, 2);
    bytes_.append(padding, 'Z');
    bytes_ += entry.bytes;
    return header;
  }

  void add_record(const ZipEntry& entry, std::size_t header) {
    const std::uint64_t size =
        entry.claimed_size.value_or(static_cast<std::uint32_t>(entry.bytes.size()));
    add(0x02014b50, 4);
    add(0, 4);
    add(entry.flags, 2);
    add(entry.method, 2);
    add(0, 4);
    add(crc32(std::as_bytes(std::span(entry.bytes))), 4);
    add(size, 4);
    add(size, 4);
    add(entry.name.size(), 2);
    add(0, 12);
    add(header, 4);
    bytes_ += entry.name;
  }

  void add_zip64_end(std::uint64_t count, std::uint64_t size, std::uint64_t begin) {
    const std::size_t end = bytes_.size();
    add(0x06064b50, 4);
    add(44, 8);
    add(0, 12);
    add(count, 8);
    add(count, 8);
    add(size, 8);
    add(begin, 8);
    add(0x07064b50, 4);
    add(0, 4);
    add(end, 8);
    add(1, 4);
  }

  void add_end(std::uint64_t count, std::uint64_t size, std::uint64_t begin) {
    add(0x06054b50, 4);
    add(0, 4);
    add(count, 2);
    add(count, 2);
    add(size, 4);
    add(begin, 4);
    add(0, 2);
  }

  std::string bytes_;
};

}  // namespace tenon::testing
