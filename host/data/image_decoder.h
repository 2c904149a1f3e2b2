#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>

namespace tenon {

// A JPEG or PNG file, told apart by content, as a uint8 tensor (height, width, channels), channels
// being 1 (grey) or 3 (RGB). The pixels are what Pillow's convert("L") and convert("RGB") give:
// transparency and colour profiles are dropped, palettes and CMYK become RGB. Of 16 bits the upper
// 8 are kept (Pillow clips 16-bit grey). EXIF's orientation is applied. Throws Error{Stage::kData}
// with the file for anything else, damaged or cut off files included.
at::Tensor decode_image(const std::filesystem::path& file, std::int64_t channels);

}  // namespace tenon
