#include "data/image_decoder.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "data/image_formats.h"

namespace tenon {

namespace {

struct Format {
  std::string_view name;
  std::size_t offset;  // of its signature
  std::string_view signature;
  ImageProblem (*decode)(std::span<const unsigned char>, StoredImage&);  // null: only known by name
};

using namespace std::string_view_literals;
constexpr Format kFormats[] = {
    {"JPEG", 0, "\xFF\xD8\xFF"sv, decode_jpeg},
    {"PNG", 0, "\x89PNG\r\n\x1A\n"sv, decode_png},
    {"a WebP image", 8, "WEBP"sv, nullptr},
    {"a GIF image", 0, "GIF8"sv, nullptr},
    {"a BMP image", 0, "BM"sv, nullptr},
    {"a TIFF image", 0, "II*\0"sv, nullptr},
    {"a TIFF image", 0, "MM\0*"sv, nullptr},
    {"a HEIF or AVIF image", 4, "ftyp"sv, nullptr},
    {"a pointer of Git LFS, whose file was not fetched", 0, "version https://git-lfs"sv, nullptr},
};

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& message,
                       const std::string& hint) {
  throw Error{{.stage = Stage::kData, .message = message, .hint = hint, .location = file.string()}};
}

const Format* format_of(std::string_view text) {
  const auto* format = std::ranges::find_if(kFormats, [&](const Format& candidate) {
    return text.size() > candidate.offset &&
           text.substr(candidate.offset).starts_with(candidate.signature);
  });
  return format == std::end(kFormats) ? nullptr : format;
}

// As Pillow's ImageOps.exif_transpose.
at::Tensor turned(const at::Tensor& pixels, int orientation) {
  switch (orientation) {
    case 2:
      return pixels.flip({1});
    case 3:
      return pixels.flip({0, 1});
    case 4:
      return pixels.flip({0});
    case 5:
      return pixels.transpose(0, 1);
    case 6:
      return pixels.transpose(0, 1).flip({1});
    case 7:
      return pixels.transpose(0, 1).flip({0, 1});
    case 8:
      return pixels.transpose(0, 1).flip({0});
    default:
      return pixels;
  }
}

// ITU-R 601-2 luma in 16-bit fixed point, rounded, as Pillow has it.
at::Tensor grey_from_rgb(const at::Tensor& rgb) {
  const at::Tensor wide = rgb.to(at::kInt);
  const at::Tensor luma =
      wide.select(2, 0) * 19595 + wide.select(2, 1) * 38470 + wide.select(2, 2) * 7471 + 0x8000;
  return luma.bitwise_right_shift(16).to(at::kByte).unsqueeze(2);
}

at::Tensor with_channels(const at::Tensor& pixels, std::int64_t channels) {
  if (pixels.size(2) == channels) return pixels;
  return channels == 1 ? grey_from_rgb(pixels)
                       : pixels.expand({pixels.size(0), pixels.size(1), channels});
}

}  // namespace

ImageProblem check_image_size(std::uint64_t width, std::uint64_t height) {
  constexpr std::uint64_t kMostPixels = 178'956'970;
  if (width == 0 || height == 0) return "it has no pixels";
  if (width <= kMostPixels / height) return "";
  return "it claims " + std::to_string(width) + " x " + std::to_string(height) +
         " pixels; at most " + std::to_string(kMostPixels) + " are read";
}

at::Tensor decode_image(const std::filesystem::path& file, std::int64_t channels) {
  const std::string text = read_text_file(file, Stage::kData);
  if (text.empty()) fail(file, "the image is an empty file", "replace or remove it");
  const Format* format = format_of(text);
  if (format == nullptr || format->decode == nullptr) {
    fail(file,
         std::string("this is no JPEG or PNG image") +
             (format == nullptr ? "" : " but " + std::string(format->name)),
         "convert it, or remove it from the folder");
  }
  StoredImage image;
  const std::span<const unsigned char> bytes(reinterpret_cast<const unsigned char*>(text.data()),
                                             text.size());
  if (const ImageProblem problem = format->decode(bytes, image); !problem.empty()) {
    fail(file, "the " + std::string(format->name) + " image cannot be read: " + problem,
         "replace or remove it");
  }
  return turned(with_channels(image.pixels, channels), image.orientation);
}

}  // namespace tenon
