#include "data/image_dataset.h"

#include <ATen/ops/tensor.h>

#include <algorithm>
#include <numeric>

#include "base/log.h"
#include "base/suggest.h"
#include "data/image_folder.h"
#include "data/image_reader.h"
#include "data/input_fit.h"

namespace tenon {

namespace {

constexpr const char* kImageKeys[] = {"image_size",    "resize", "channels",
                                      "interpolation", "mean",   "std"};
constexpr const char* kTableKeys[] = {"inputs", "target", "scale", "sample_weight"};

// A size that the export fixed; 0 where it did not, or the model does not tell.
std::int64_t fixed_size(const InputSpec& input, std::size_t dimension) {
  if (!input.checked || dimension >= input.dimensions.size()) return 0;
  return std::max<std::int64_t>(input.dimensions[dimension].fixed, 0);
}

void check_model(const LossKind& loss, const std::vector<InputSpec>& inputs,
                 std::vector<std::string>& problems) {
  if (inputs.size() != 1) {
    problems.push_back("a folder of images gives one input; the model takes " +
                       std::to_string(inputs.size()));
    return;
  }
  const InputSpec& input = inputs[0];
  if (input.checked && (input.dimensions.size() != 4 || !c10::isFloatingType(input.dtype))) {
    problems.push_back(
        "images are floats of four dimensions (rows, channels, height, width), "
        "which the model's input `" +
        input.name + "` is not");
  }
  if (loss.target == TargetKind::kNumbers || loss.target == TargetKind::kTokens) {
    problems.push_back("a folder of images tells classes, which the loss " + loss.name +
                       " does not take");
  }
}

// The config's value, or else what the export fixed; both, where they differ, are a problem.
std::int64_t agreed(const char* key, const std::optional<std::int64_t>& given,
                    std::int64_t of_model, std::vector<std::string>& problems) {
  if (given && of_model > 0 && *given != of_model) {
    problems.push_back("[data] " + std::string(key) + " is " + std::to_string(*given) +
                       "; the model takes " + std::to_string(of_model));
  }
  return given.value_or(of_model);
}

void check_values(const char* key, const std::vector<double>& values, std::int64_t channels,
                  std::vector<std::string>& problems) {
  const auto count = static_cast<std::int64_t>(values.size());
  if (count <= 1 || count == channels) return;
  problems.push_back("[data] " + std::string(key) + " has " + std::to_string(count) +
                     " numbers; give one, or one for each of the " + std::to_string(channels) +
                     " channels");
}

ImageSettings settle(const ImageConfig& config, const InputSpec& input,
                     std::vector<std::string>& problems) {
  ImageSettings settings;
  const std::int64_t channels = agreed("channels", config.channels, fixed_size(input, 1), problems);
  settings.channels = channels == 0 ? 3 : channels;
  if (settings.channels != 1 && settings.channels != 3) {
    problems.push_back("the model takes " + std::to_string(settings.channels) +
                       " channels; images have 1 or 3");
  }
  settings.image_size = agreed("image_size", config.image_size, fixed_size(input, 2), problems);
  if (fixed_size(input, 2) != fixed_size(input, 3)) {
    problems.emplace_back("the model's input is not square, as images are cut here");
  }
  if (settings.image_size == 0) {
    problems.emplace_back("[data] image_size is missing: the model takes images of any size");
  }
  settings.resize = config.resize.value_or(settings.image_size);
  if (settings.resize < settings.image_size) {
    problems.push_back("[data] resize is " + std::to_string(settings.resize) + "; an image of " +
                       std::to_string(settings.image_size) + " cannot be cut out of it");
  }
  settings.bicubic = config.interpolation == "bicubic";
  check_values("mean", config.mean, settings.channels, problems);
  check_values("std", config.std, settings.channels, problems);
  settings.mean = config.mean;
  settings.std = config.std;
  if (input.checked) settings.dtype = input.dtype;
  return settings;
}

ImageSettings settle_for(const std::filesystem::path& folder, const DataConfig& config,
                         const LossKind& loss, const std::vector<InputSpec>& inputs) {
  std::vector<std::string> problems;
  for (const char* key : kTableKeys) {
    if (!config.explicit_keys.contains(key)) continue;
    problems.push_back("[data] " + std::string(key) +
                       " is for safetensors and CSV files; of a folder of images nothing reads it");
  }
  check_model(loss, inputs, problems);
  ImageSettings settings;
  if (inputs.size() == 1) settings = settle(config.images, inputs[0], problems);
  throw_data_problems(problems, folder.string(), "");
  return settings;
}

std::vector<std::string> shared_classes(const std::filesystem::path& folder,
                                        const DataConfig& config) {
  if (config.train.size() != 1 || folder == config.train.front()) return {};
  if (!std::filesystem::is_directory(config.train.front())) return {};
  return image_classes(config.train.front());
}

}  // namespace

Dataset read_image_dataset(const std::filesystem::path& folder, const DataConfig& config,
                           const LossKind& loss, const std::vector<InputSpec>& inputs) {
  ImageSettings settings = settle_for(folder, config, loss, inputs);
  ImageFolder images = list_image_folder(folder, shared_classes(folder, config));
  log::info(folder.string() + ": " + std::to_string(images.files.size()) + " images of " +
            std::to_string(images.classes.size()) + " classes: " + join(images.classes));
  Dataset data;
  data.source = folder.string();
  data.input_names = {inputs[0].name};
  data.rows = static_cast<std::int64_t>(images.files.size());
  if (loss.target == TargetKind::kClasses || loss.target == TargetKind::kAny)
    data.target = at::tensor(images.labels, at::kLong);
  data.images = std::make_shared<ImageReader>(std::move(images.files), std::move(settings));
  return data;
}

at::Tensor read_image_inputs(const std::filesystem::path& folder, const DataConfig& config,
                             const std::vector<InputSpec>& inputs) {
  const ImageSettings settings = settle_for(folder, config, "output", inputs);
  const ImageReader reader(list_images(folder), settings);
  std::vector<std::int64_t> rows(reader.size());
  std::iota(rows.begin(), rows.end(), 0);
  return reader.read(rows);
}

void refuse_image_keys(const DataConfig& config, std::vector<std::string>& problems) {
  for (const char* key : kImageKeys) {
    if (!config.explicit_keys.contains(key)) continue;
    problems.push_back("[data] " + std::string(key) +
                       " is for a folder of images; of a file nothing reads it");
  }
}

}  // namespace tenon
