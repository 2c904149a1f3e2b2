#include <cstddef>

#include "data/image_formats.h"

namespace tenon {

namespace {

// TIFF 6.0, section 2: "II" or "MM" for the byte order, 42, the offset of the first directory; a
// directory is a count of 2 bytes and entries of 12: tag, type, count, value.
constexpr std::uint32_t kOrientationTag = 0x0112;
constexpr std::uint32_t kShortType = 3;
constexpr std::size_t kEntrySize = 12;

class TiffBytes {
 public:
  TiffBytes(std::span<const unsigned char> bytes, bool big_endian)
      : bytes_(bytes), big_endian_(big_endian) {}

  bool has(std::size_t offset, std::size_t size) const {
    return offset <= bytes_.size() && size <= bytes_.size() - offset;
  }

  // 0 behind the end.
  std::uint32_t number(std::size_t offset, std::size_t size) const {
    std::uint32_t value = 0;
    if (!has(offset, size)) return value;
    for (std::size_t i = 0; i < size; ++i) {
      value = value << 8 | bytes_[offset + (big_endian_ ? i : size - 1 - i)];
    }
    return value;
  }

 private:
  std::span<const unsigned char> bytes_;
  bool big_endian_;
};

}  // namespace

int exif_orientation(std::span<const unsigned char> exif) {
  if (exif.size() < 8 || exif[0] != exif[1] || (exif[0] != 'I' && exif[0] != 'M')) return 1;
  const TiffBytes tiff(exif, exif[0] == 'M');
  if (tiff.number(2, 2) != 42) return 1;
  const std::size_t directory = tiff.number(4, 4);
  const std::size_t entries = tiff.number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntrySize;
    if (!tiff.has(entry, kEntrySize)) return 1;
    if (tiff.number(entry, 2) != kOrientationTag) continue;
    const std::uint32_t value = tiff.number(entry + 8, 2);
    const bool known = tiff.number(entry + 2, 2) == kShortType && value >= 1 && value <= 8;
    return known ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace tenon
