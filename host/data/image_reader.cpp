#include "data/image_reader.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "data/image_decoder.h"

namespace tenon {

namespace {

// Only of an image that is far longer than wide does the middle need so much around it.
constexpr std::int64_t kMostResizedPixels = std::int64_t{1} << 25U;

// (1, channels, height, width) in bytes: the antialiased kernels then round as Pillow does.
at::Tensor resized(const at::Tensor& image, std::int64_t shorter, bool bicubic,
                   const std::filesystem::path& file) {
  const std::int64_t height = image.size(2);
  const std::int64_t width = image.size(3);
  if (std::min(height, width) == shorter) return image;
  const auto scaled = [&](std::int64_t side, std::int64_t other) {
    return side <= other ? shorter : shorter * side / other;
  };
  const std::int64_t sizes[] = {scaled(height, width), scaled(width, height)};
  const std::int64_t most = std::max(kMostResizedPixels, 4 * shorter * shorter);
  if (sizes[0] * sizes[1] > most) {
    throw Error(
        {.stage = Stage::kData,
         .message = "the image of " + std::to_string(width) + " x " + std::to_string(height) +
                    " pixels would be resized to " + std::to_string(sizes[1]) + " x " +
                    std::to_string(sizes[0]) + "; at most " + std::to_string(most) + " are made",
         .hint = "its sides differ too much to cut a square out of it: replace or remove it",
         .location = file.string()});
  }
  return bicubic ? at::_upsample_bicubic2d_aa(image, sizes, /*align_corners=*/false)
                 : at::_upsample_bilinear2d_aa(image, sizes, /*align_corners=*/false);
}

// Halves go to the even number, as Python rounds.
std::int64_t crop_start(std::int64_t side, std::int64_t size) {
  return static_cast<std::int64_t>(std::nearbyint(static_cast<double>(side - size) / 2));
}

at::Tensor channel_values(const std::vector<double>& values) {
  if (values.empty()) return {};
  return at::tensor(values, at::kFloat).reshape({static_cast<std::int64_t>(values.size()), 1, 1});
}

}  // namespace

ImageReader::ImageReader(std::vector<std::filesystem::path> files, ImageSettings settings)
    : files_(std::move(files)),
      settings_(std::move(settings)),
      mean_(channel_values(settings_.mean)),
      std_(channel_values(settings_.std)) {}

ImageReader ImageReader::part(const std::vector<std::int64_t>& rows) const {
  std::vector<std::filesystem::path> files;
  files.reserve(rows.size());
  for (const std::int64_t row : rows) files.push_back(files_[static_cast<std::size_t>(row)]);
  return {std::move(files), settings_};
}

at::Tensor ImageReader::read(const std::vector<std::int64_t>& rows) const {
  std::vector<at::Tensor> images(rows.size());
  at::parallel_for(0, static_cast<std::int64_t>(rows.size()), 1, [&](auto begin, auto end) {
    const at::NoGradGuard no_grad;
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      images[i] = read_one(files_.at(static_cast<std::size_t>(rows[i])));
    }
  });
  return at::stack(images).to(settings_.dtype);
}

at::Tensor ImageReader::read_one(const std::filesystem::path& file) const {
  const at::Tensor pixels = decode_image(file, settings_.channels).permute({2, 0, 1}).unsqueeze(0);
  const at::Tensor small = resized(pixels.contiguous(at::MemoryFormat::ChannelsLast),
                                   settings_.resize, settings_.bicubic, file);
  const std::int64_t size = settings_.image_size;
  at::Tensor image = small.squeeze(0)
                         .narrow(1, crop_start(small.size(2), size), size)
                         .narrow(2, crop_start(small.size(3), size), size)
                         .to(at::kFloat)
                         .contiguous()
                         .div_(255);
  if (mean_.defined()) image.sub_(mean_);
  if (std_.defined()) image.div_(std_);
  return image;
}

}  // namespace tenon
