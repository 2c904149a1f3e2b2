#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <vector>

namespace tenon {

// [data]'s image keys, nothing left open.
struct ImageSettings {
  std::int64_t channels = 3;
  std::int64_t resize = 0;
  std::int64_t image_size = 0;
  bool bicubic = false;
  std::vector<double> mean;  // empty, one for all channels, or one for each
  std::vector<double> std;
  at::ScalarType dtype = at::kFloat;
};

// Reads images as they are asked for: what is decoded is far larger than the files.
class ImageReader {
 public:
  ImageReader(std::vector<std::filesystem::path> files, ImageSettings settings);

  std::size_t size() const { return files_.size(); }
  ImageReader part(const std::vector<std::int64_t>& rows) const;

  // (rows, channels, image_size, image_size). What torchvision computes with Pillow: Resize of the
  // shorter side, CenterCrop, ToTensor, Normalize; resized pixels may be rounded otherwise, by 1 of
  // 255. Throws Error{Stage::kData} with the file that cannot be read.
  at::Tensor read(const std::vector<std::int64_t>& rows) const;

 private:
  at::Tensor read_one(const std::filesystem::path& file) const;

  std::vector<std::filesystem::path> files_;
  ImageSettings settings_;
  at::Tensor mean_;  // undefined where there is none
  at::Tensor std_;
};

}  // namespace tenon
