#include "pt2/zip_directory.h"

#include <cstring>
#include <utility>

#include "base/error.h"

namespace tenon {
namespace {

constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kZip64EndSignature = 0x06064b50;
constexpr std::uint32_t kZip64LocatorSignature = 0x07064b50;
constexpr std::uint32_t kRecordSignature = 0x02014b50;
constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::uint64_t kEndSize = 22;
constexpr std::uint64_t kZip64LocatorSize = 20;
constexpr std::uint64_t kRecordSize = 46;
constexpr std::uint64_t kLocalSize = 30;
constexpr std::uint64_t kLongestComment = 0xFFFF;
constexpr std::uint32_t kInZip64 = 0xFFFFFFFF;  // the value stands in the zip64 extension
constexpr std::uint64_t kMostEntries = std::uint64_t{1} << 20;  // a model has one for each tensor
constexpr std::uint16_t kZip64Extra = 1;
constexpr std::uint16_t kEncryptedFlags = 0x0001 | 0x0040 | 0x2000;

}  // namespace

ZipDirectory::ZipDirectory(std::span<const std::byte> bytes, std::string location)
    : bytes_(bytes), location_(std::move(location)) {
  const std::uint64_t end = find_end_record();
  std::uint64_t count = read<std::uint16_t>(end + 10);
  std::uint64_t size = read<std::uint32_t>(end + 12);
  begin_ = read<std::uint32_t>(end + 16);
  std::uint64_t limit = end;
  if (end >= kZip64LocatorSize &&
      read<std::uint32_t>(end - kZip64LocatorSize) == kZip64LocatorSignature) {
    const std::uint64_t zip64 = read<std::uint64_t>(end - kZip64LocatorSize + 8);
    if (read<std::uint32_t>(zip64) != kZip64EndSignature)
      damaged("its zip64 end record is missing");
    count = read<std::uint64_t>(zip64 + 32);
    size = read<std::uint64_t>(zip64 + 40);
    begin_ = read<std::uint64_t>(zip64 + 48);
    limit = zip64;
  } else if (read<std::uint16_t>(end + 4) != 0 || read<std::uint16_t>(end + 6) != 0) {
    damaged("it is one part of an archive split over several files");
  }
  if (begin_ > limit || size > limit - begin_) {
    damaged("its directory lies outside the file");
  }
  if (count > kMostEntries) {
    damaged("it claims " + std::to_string(count) + " entries, more than the " +
            std::to_string(kMostEntries) + " that are read");
  }
  std::uint64_t offset = begin_;
  for (std::uint64_t index = 0; index < count; ++index) {
    if (offset >= begin_ + size) damaged("its directory ends before its last entry");
    offset = read_record(offset);
  }
  if (offset != begin_ + size) damaged("its directory holds more than its entries");
}

std::uint64_t ZipDirectory::data_offset(const ZipRecord& record) const {
  const std::uint64_t header = record.header_offset;
  if (read<std::uint32_t>(header) != kLocalSignature) {
    damaged("no local header where the directory says for `" + record.name + "`");
  }
  const std::uint64_t name_size = read<std::uint16_t>(header + 26);
  const std::uint64_t extra_size = read<std::uint16_t>(header + 28);
  if (text(header + kLocalSize, name_size) != record.name) {
    damaged("the directory and the local header name `" + record.name + "` differently");
  }
  return header + kLocalSize + name_size + extra_size;
}

template <typename Integer>
Integer ZipDirectory::read(std::uint64_t offset) const {
  if (offset > bytes_.size() || sizeof(Integer) > bytes_.size() - offset) {
    damaged("a header lies outside the file");
  }
  std::uint64_t value = 0;
  for (std::size_t index = sizeof(Integer); index-- > 0;) {
    value = value << 8 | std::to_integer<std::uint64_t>(bytes_[offset + index]);
  }
  return static_cast<Integer>(value);
}

std::string_view ZipDirectory::text(std::uint64_t offset, std::uint64_t size) const {
  if (offset > bytes_.size() || size > bytes_.size() - offset) {
    damaged("a name lies outside the file");
  }
  return {reinterpret_cast<const char*>(bytes_.data()) + offset, size};
}

// The end record is the last thing in the file but for a comment whose length it holds.
std::uint64_t ZipDirectory::find_end_record() const {
  if (bytes_.size() >= kEndSize) {
    const std::uint64_t last = bytes_.size() - kEndSize;
    const std::uint64_t first = last > kLongestComment ? last - kLongestComment : 0;
    for (std::uint64_t offset = last + 1; offset-- > first;) {
      if (read<std::uint32_t>(offset) == kEndSignature &&
          offset + kEndSize + read<std::uint16_t>(offset + 20) == bytes_.size()) {
        return offset;
      }
    }
  }
  throw Error{{.stage = Stage::kModel,
               .message = "the archive is truncated: its end record is missing",
               .hint = "Copy the file again; it was cut off while being written or transferred.",
               .location = location_}};
}

// Returns the offset of the next record.
std::uint64_t ZipDirectory::read_record(std::uint64_t offset) {
  if (read<std::uint32_t>(offset) != kRecordSignature)
    damaged("an entry of its directory is broken");
  const std::uint16_t flags = read<std::uint16_t>(offset + 8);
  const std::uint64_t packed_size = read<std::uint32_t>(offset + 20);
  const std::uint64_t name_size = read<std::uint16_t>(offset + 28);
  const std::uint64_t extra_size = read<std::uint16_t>(offset + 30);
  const std::uint64_t comment_size = read<std::uint16_t>(offset + 32);
  ZipRecord record;
  record.encrypted = (flags & kEncryptedFlags) != 0;
  record.stored = read<std::uint16_t>(offset + 10) == 0;
  record.crc32 = read<std::uint32_t>(offset + 16);
  record.size = read<std::uint32_t>(offset + 24);
  record.header_offset = read<std::uint32_t>(offset + 42);
  record.name = text(offset + kRecordSize, name_size);
  const std::uint64_t extra = offset + kRecordSize + name_size;
  apply_zip64(record, extra, extra + extra_size, packed_size);
  records_.push_back(std::move(record));
  return extra + extra_size + comment_size;
}

// The zip64 extra field holds, in this order, those of size, packed size and offset that did not
// fit.
void ZipDirectory::apply_zip64(ZipRecord& record, std::uint64_t extra, std::uint64_t extra_end,
                               std::uint64_t packed_size) const {
  while (extra + 4 <= extra_end) {
    const std::uint16_t id = read<std::uint16_t>(extra);
    const std::uint64_t field_end = extra + 4 + read<std::uint16_t>(extra + 2);
    if (field_end > extra_end) damaged("an extra field of `" + record.name + "` is broken");
    std::uint64_t at = extra + 4;
    const auto take = [&](std::uint64_t& value) {
      if (value != kInZip64) return;
      if (at + 8 > field_end) damaged("the zip64 field of `" + record.name + "` is too short");
      value = read<std::uint64_t>(at);
      at += 8;
    };
    if (id == kZip64Extra) {
      take(record.size);
      take(packed_size);
      take(record.header_offset);
    }
    extra = field_end;
  }
  if (record.stored && packed_size != record.size) {
    damaged("the two sizes of the stored entry `" + record.name + "` differ");
  }
}

void ZipDirectory::damaged(const std::string& what) const {
  throw Error{{.stage = Stage::kModel,
               .message = "the archive is damaged: " + what,
               .hint = "Copy the file again, or export the model again.",
               .location = location_}};
}

}  // namespace tenon
