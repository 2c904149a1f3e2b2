#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tenon {

// A folder that holds a folder of images for each class.
struct ImageFolder {
  std::vector<std::string> classes;  // the folders' names, sorted; class 0 is the first
  std::vector<std::filesystem::path> files;
  std::vector<std::int64_t> labels;  // one for each file
};

// The JPEG and PNG files, told by their extension, of each class's folder and the folders in it,
// sorted, as torchvision's ImageFolder. With `classes` they are counted by their place in there.
// Hidden files are passed over; whatever else would be left out is an Error{Stage::kData}.
ImageFolder list_image_folder(const std::filesystem::path& folder,
                              const std::vector<std::string>& classes);

// All images below a folder, sorted; the same rules.
std::vector<std::filesystem::path> list_images(const std::filesystem::path& folder);

// The names of the classes' folders, sorted.
std::vector<std::string> image_classes(const std::filesystem::path& folder);

}  // namespace tenon
