#pragma once

#include "data/data_source.h"

namespace tenon {

// A folder of images as a dataset, the images read batch by batch. The classes are those of
// [data] train where that is a folder too, so that both sets count them alike.
Dataset read_image_dataset(const std::filesystem::path& folder, const DataConfig& config,
                           const LossKind& loss, const std::vector<InputSpec>& inputs);

// All images below a folder as the model's only input.
at::Tensor read_image_inputs(const std::filesystem::path& folder, const DataConfig& config,
                             const std::vector<InputSpec>& inputs);

// Appends a problem for each of [data]'s image keys that is given, which `source`, no folder, has
// no use for.
void refuse_image_keys(const DataConfig& config, std::vector<std::string>& problems);

}  // namespace tenon
