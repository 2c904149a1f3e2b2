#include <ATen/ops/empty.h>

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <iterator>
#include <string_view>

// After <cstdio>, which libjpeg's headers need and do not include.
#include <jerror.h>
#include <jpeglib.h>

#include "data/image_formats.h"

namespace tenon {

namespace {

// A progressive file may repeat its scans without end; real ones have about ten.
constexpr int kMostScans = 500;

// Warnings of files that only look unusual; any other means that pixels are wrong.
constexpr int kHarmless[] = {JWRN_ADOBE_XFORM, JWRN_EXTRANEOUS_DATA, JWRN_JFIF_MAJOR,
                             JWRN_NOT_SEQUENTIAL, JWRN_TOO_MUCH_DATA};

// libjpeg reports by function pointers and wants an error not to return: they jump.
struct JpegReader {
  jpeg_decompress_struct jpeg = {};
  jpeg_error_mgr errors = {};
  jpeg_progress_mgr progress = {};
  std::jmp_buf failed = {};
  char problem[JMSG_LENGTH_MAX] = {};

  JpegReader() = default;
  ~JpegReader() { jpeg_destroy_decompress(&jpeg); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
};

JpegReader& reader_of(j_common_ptr jpeg) { return *static_cast<JpegReader*>(jpeg->client_data); }

[[noreturn]] void fail(j_common_ptr jpeg) {
  JpegReader& reader = reader_of(jpeg);
  jpeg->err->format_message(jpeg, reader.problem);
  std::longjmp(reader.failed, 1);  // NOLINT(cert-err52-cpp): as libjpeg wants it
}

void take_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;  // a trace
  if (std::ranges::find(kHarmless, jpeg->err->msg_code) == std::end(kHarmless)) fail(jpeg);
}

void watch_scans(j_common_ptr jpeg) {
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number <= kMostScans) return;
  JpegReader& reader = reader_of(jpeg);
  constexpr std::string_view kProblem = "too many scans";
  std::ranges::copy(kProblem, reader.problem);
  std::longjmp(reader.failed, 1);  // NOLINT(cert-err52-cpp): as libjpeg wants it
}

void start(JpegReader& reader, std::span<const unsigned char> bytes) {
  reader.jpeg.err = jpeg_std_error(&reader.errors);
  reader.errors.error_exit = fail;
  reader.errors.emit_message = take_message;
  reader.jpeg.client_data = &reader;
  jpeg_create_decompress(&reader.jpeg);
  reader.progress.progress_monitor = watch_scans;
  reader.jpeg.progress = &reader.progress;
  jpeg_mem_src(&reader.jpeg, bytes.data(), static_cast<unsigned long>(bytes.size()));
  jpeg_save_markers(&reader.jpeg, JPEG_APP0 + 1, 0xFFFF);
}

int find_orientation(const JpegReader& reader) {
  constexpr std::string_view kExif("Exif\0\0", 6);
  for (const jpeg_marker_struct* marker = reader.jpeg.marker_list; marker != nullptr;
       marker = marker->next) {
    const std::span<const unsigned char> data(marker->data, marker->data_length);
    if (data.size() < kExif.size() || !std::equal(kExif.begin(), kExif.end(), data.begin())) {
      continue;
    }
    return exif_orientation(data.subspan(kExif.size()));
  }
  return 1;
}

// False where libjpeg jumped out. Nothing here has a destructor, which a jump would pass over.
bool read_header(JpegReader& reader, std::span<const unsigned char> bytes) {
  if (setjmp(reader.failed) != 0) return false;  // NOLINT(cert-err52-cpp)
  start(reader, bytes);
  jpeg_read_header(&reader.jpeg, TRUE);
  return true;
}

bool read_rows(JpegReader& reader, unsigned char* pixels, std::size_t row_size) {
  if (setjmp(reader.failed) != 0) return false;  // NOLINT(cert-err52-cpp)
  jpeg_start_decompress(&reader.jpeg);
  while (reader.jpeg.output_scanline < reader.jpeg.output_height) {
    JSAMPROW row = pixels + reader.jpeg.output_scanline * row_size;
    jpeg_read_scanlines(&reader.jpeg, &row, 1);
  }
  jpeg_finish_decompress(&reader.jpeg);
  return true;
}

J_COLOR_SPACE output_space(int components) {
  switch (components) {
    case 1:
      return JCS_GRAYSCALE;
    case 3:
      return JCS_RGB;
    case 4:
      return JCS_CMYK;
    default:
      return JCS_UNKNOWN;
  }
}

unsigned char multiply(unsigned int a, unsigned int b) {
  const unsigned int product = a * b + 128;
  return static_cast<unsigned char>(((product >> 8) + product) >> 8);
}

// CMYK in JPEG is stored inverted, as Adobe does it and Pillow takes it: a factor of light for each
// ink, and one for black.
at::Tensor rgb_from_cmyk(const at::Tensor& stored) {
  at::Tensor rgb = at::empty({stored.size(0), stored.size(1), 3}, at::kByte);
  const unsigned char* from = stored.const_data_ptr<unsigned char>();
  unsigned char* to = rgb.mutable_data_ptr<unsigned char>();
  for (std::int64_t i = 0; i < stored.size(0) * stored.size(1); ++i, from += 4, to += 3) {
    for (int c = 0; c < 3; ++c) {
      to[c] = static_cast<unsigned char>(from[3] - multiply(255U - from[c], from[3]));
    }
  }
  return rgb;
}

}  // namespace

ImageProblem decode_jpeg(std::span<const unsigned char> bytes, StoredImage& image) {
  JpegReader reader;
  if (!read_header(reader, bytes)) return reader.problem;
  if (auto problem = check_image_size(reader.jpeg.image_width, reader.jpeg.image_height);
      !problem.empty()) {
    return problem;
  }
  const int channels = reader.jpeg.num_components;
  reader.jpeg.out_color_space = output_space(channels);
  if (reader.jpeg.out_color_space == JCS_UNKNOWN) {
    return "it has " + std::to_string(channels) + " colour channels";
  }
  const auto width = static_cast<std::int64_t>(reader.jpeg.image_width);
  image.pixels = at::empty({reader.jpeg.image_height, width, channels}, at::kByte);
  image.orientation = find_orientation(reader);
  if (!read_rows(reader, image.pixels.mutable_data_ptr<unsigned char>(),
                 static_cast<std::size_t>(width * channels))) {
    return reader.problem;
  }
  if (channels == 4) image.pixels = rgb_from_cmyk(image.pixels);
  return "";
}

}  // namespace tenon
