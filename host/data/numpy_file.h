#pragma once

#include <filesystem>
#include <string>

#include "model/tensor_file.h"

namespace tenon {

// Whether the file is one that numpy.save (.npy) or numpy.savez (.npz) wrote, by its content.
bool is_npy_file(const std::filesystem::path& file);
bool is_npz_file(const std::filesystem::path& file);

// The array of a .npy file, aliasing its private mapping. Pickled objects are never read. Throws
// Error{stage}.
at::Tensor read_npy_file(const std::filesystem::path& file, Stage stage);
// Those of a .npz file, by their names.
NamedTensors read_npz_file(const std::filesystem::path& file, Stage stage);

}  // namespace tenon
