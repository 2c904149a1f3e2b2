#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>

// The two image libraries, each behind one function; the sources are the only ones that know them.
namespace tenon {

// Pixels as stored: (height, width, 1 or 3), without EXIF's orientation (1 to 8), which comes
// beside them.
struct StoredImage {
  at::Tensor pixels;
  int orientation = 1;
};

// What is wrong with a file's bytes, in words; empty where nothing is.
using ImageProblem = std::string;

ImageProblem decode_jpeg(std::span<const unsigned char> bytes, StoredImage& image);
ImageProblem decode_png(std::span<const unsigned char> bytes, StoredImage& image);

// "" where memory for an image of these sizes may be asked for: up to as many pixels as Pillow
// takes without an error, 178,956,970.
ImageProblem check_image_size(std::uint64_t width, std::uint64_t height);

// The orientation (1 to 8) that an EXIF block tells, which starts with its TIFF header; 1 where it
// tells none.
int exif_orientation(std::span<const unsigned char> exif);

}  // namespace tenon
