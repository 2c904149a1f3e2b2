#include "data/image_folder.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/suggest.h"
#include "data/input_fit.h"

namespace tenon {

namespace {

using Paths = std::vector<std::filesystem::path>;

constexpr const char* kHint =
    "the folder needs one folder of JPEG or PNG files for each class: cats/1.jpg, dogs/2.jpg";
const std::string kOthers = "neither JPEG nor PNG by their names: ";
constexpr std::size_t kMostListed = 5;

bool is_hidden(const std::filesystem::path& path) {
  return path.filename().string().starts_with('.');
}

// What cannot be looked at is neither.
bool is_folder(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

bool is_file(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

std::string extension_of(const std::filesystem::path& file) {
  std::string extension = file.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

bool is_image(const std::filesystem::path& file) {
  const std::string extension = extension_of(file);
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

// All but the hidden, sorted: a file system lists in an order of its own.
Paths visible_entries(const std::filesystem::path& folder) {
  Paths entries;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (!is_hidden(entry->path())) entries.push_back(entry->path());
  }
  if (error) {
    throw Error{{.stage = Stage::kData,
                 .message = "the folder cannot be read: " + error.message(),
                 .hint = "",
                 .location = folder.string()}};
  }
  std::ranges::sort(entries);
  return entries;
}

struct Found {
  Paths images;
  Paths others;
};

void collect(const std::filesystem::path& folder, int depth, Found& found) {
  // Links may lead in a circle.
  constexpr int kDeepest = 32;
  for (const std::filesystem::path& entry : visible_entries(folder)) {
    if (is_folder(entry) && depth < kDeepest) {
      collect(entry, depth + 1, found);
    } else if (is_image(entry) && is_file(entry)) {
      found.images.push_back(entry);
    } else {
      found.others.push_back(entry);
    }
  }
}

std::string listed(const Paths& paths, const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < paths.size() && i < kMostListed; ++i) {
    names.push_back(paths[i].lexically_relative(folder).string());
  }
  if (paths.size() > kMostListed) {
    names.push_back("and " + std::to_string(paths.size() - kMostListed) + " more");
  }
  return join(names);
}

// Images beside the classes' folders would belong to no class.
void check_top(const std::filesystem::path& folder, std::vector<std::string>& problems) {
  Paths loose;
  for (const std::filesystem::path& entry : visible_entries(folder)) {
    if (is_image(entry) && !is_folder(entry)) loose.push_back(entry);
  }
  if (!loose.empty()) problems.push_back("images in no class's folder: " + listed(loose, folder));
}

}  // namespace

std::vector<std::string> image_classes(const std::filesystem::path& folder) {
  std::vector<std::string> classes;
  for (const std::filesystem::path& entry : visible_entries(folder)) {
    if (is_folder(entry)) classes.push_back(entry.filename().string());
  }
  return classes;
}

std::vector<std::filesystem::path> list_images(const std::filesystem::path& folder) {
  Found all;
  collect(folder, 0, all);
  std::vector<std::string> problems;
  if (all.images.empty()) problems.emplace_back("there is no JPEG or PNG file in the folder");
  if (!all.others.empty()) problems.push_back(kOthers + listed(all.others, folder));
  throw_data_problems(problems, folder.string(), "");
  return std::move(all.images);
}

ImageFolder list_image_folder(const std::filesystem::path& folder,
                              const std::vector<std::string>& classes) {
  const std::vector<std::string> present = image_classes(folder);
  ImageFolder result;
  result.classes = classes.empty() ? present : classes;
  std::vector<std::string> problems;
  check_top(folder, problems);
  if (present.empty() && problems.empty())
    problems.emplace_back("there is no class's folder in it");
  Found all;
  for (const std::string& name : present) {
    const auto place = std::ranges::find(result.classes, name);
    if (place == result.classes.end()) {
      problems.push_back("the class `" + name +
                         "` is none of the training data's: " + join(result.classes));
      continue;
    }
    const std::size_t before = all.images.size();
    collect(folder / name, 0, all);
    if (all.images.size() == before) problems.push_back("the class `" + name + "` has no image");
    result.labels.resize(all.images.size(), place - result.classes.begin());
  }
  if (!all.others.empty()) {
    problems.push_back(kOthers + listed(all.others, folder));
  }
  throw_data_problems(problems, folder.string(), kHint);
  result.files = std::move(all.images);
  return result;
}

}  // namespace tenon
