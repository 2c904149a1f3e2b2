#include <ATen/ops/empty.h>
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstring>
#include <vector>

#include "data/image_formats.h"

namespace tenon {

namespace {

// libpng reads through a function pointer and reports an error by one that must not return: it
// jumps.
struct PngReader {
  std::span<const unsigned char> bytes;
  std::size_t position = 0;
  char problem[256] = {};
  png_structp png = nullptr;
  png_infop info = nullptr;

  explicit PngReader(std::span<const unsigned char> all) : bytes(all) {}
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
};

[[noreturn]] void fail(png_structp png, png_const_charp message) {
  PngReader& reader = *static_cast<PngReader*>(png_get_error_ptr(png));
  std::strncpy(reader.problem, message, sizeof reader.problem - 1);
  png_longjmp(png, 1);
}

void pass_over_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep to, std::size_t size) {
  PngReader& reader = *static_cast<PngReader*>(png_get_io_ptr(png));
  if (size > reader.bytes.size() - reader.position) png_error(png, "the file is cut off");
  std::memcpy(to, reader.bytes.data() + reader.position, size);
  reader.position += size;
}

// Whatever is stored, rows come as 8-bit grey or RGB.
void ask_for_plain_pixels(PngReader& reader) {
  png_set_strip_16(reader.png);
  png_set_palette_to_rgb(reader.png);
  if (png_get_bit_depth(reader.png, reader.info) < 8) png_set_expand_gray_1_2_4_to_8(reader.png);
  png_set_strip_alpha(reader.png);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
}

// False where libpng jumped out. Nothing here has a destructor, which a jump would pass over.
bool read_header(PngReader& reader) {
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, fail, pass_over_warning);
  if (reader.png == nullptr) return false;
  reader.info = png_create_info_struct(reader.png);
  if (reader.info == nullptr) return false;
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;  // NOLINT(cert-err52-cpp)
  png_set_read_fn(reader.png, &reader, read_bytes);
  png_read_info(reader.png, reader.info);
  return true;
}

bool choose_pixels(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;  // NOLINT(cert-err52-cpp)
  ask_for_plain_pixels(reader);
  return true;
}

bool read_rows(PngReader& reader, std::vector<png_bytep>& rows) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;  // NOLINT(cert-err52-cpp)
  png_read_image(reader.png, rows.data());
  png_read_end(reader.png, reader.info);
  return true;
}

int find_orientation(PngReader& reader) {
  png_bytep exif = nullptr;
  png_uint_32 size = 0;
  if (png_get_eXIf_1(reader.png, reader.info, &size, &exif) == 0) return 1;
  return exif_orientation({exif, size});
}

}  // namespace

ImageProblem decode_png(std::span<const unsigned char> bytes, StoredImage& image) {
  PngReader reader(bytes);
  if (!read_header(reader)) return reader.problem;
  const std::uint64_t width = png_get_image_width(reader.png, reader.info);
  const std::uint64_t height = png_get_image_height(reader.png, reader.info);
  if (auto problem = check_image_size(width, height); !problem.empty()) return problem;
  if (!choose_pixels(reader)) return reader.problem;
  const std::int64_t channels = png_get_channels(reader.png, reader.info);
  const std::size_t row_size = png_get_rowbytes(reader.png, reader.info);
  if ((channels != 1 && channels != 3) ||
      row_size != width * static_cast<std::uint64_t>(channels)) {
    return "its pixels are of a kind that is not known here";
  }
  image.pixels = at::empty(
      {static_cast<std::int64_t>(height), static_cast<std::int64_t>(width), channels}, at::kByte);
  std::vector<png_bytep> rows(height);
  for (std::size_t y = 0; y < height; ++y) {
    rows[y] = image.pixels.mutable_data_ptr<unsigned char>() + y * row_size;
  }
  if (!read_rows(reader, rows)) return reader.problem;
  image.orientation = find_orientation(reader);
  return "";
}

}  // namespace tenon
