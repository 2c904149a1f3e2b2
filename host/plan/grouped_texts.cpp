#include "plan/grouped_texts.h"

#include <algorithm>

namespace tenon {
namespace {

constexpr char kPlace = '\x01';  // of the module's name in a text
constexpr std::size_t kMostNamed = 3;

std::string named(const std::vector<std::string>& paths) {
  std::string text = "`" + paths.front() + "`";
  if (paths.size() == 1) return text;
  text += " (and ";
  for (std::size_t i = 1; i < std::min(paths.size(), kMostNamed); ++i) {
    text += (i == 1 ? "`" : ", `") + paths[i] + "`";
  }
  if (paths.size() > kMostNamed) text += ", " + std::to_string(paths.size() - kMostNamed) + " more";
  return text + ")";
}

}  // namespace

void GroupedTexts::add(const std::string& path, const std::string& text) {
  std::string key = text;
  const std::string name = "`" + path + "`";
  const std::size_t place = key.find(name);
  if (place != std::string::npos) key.replace(place, name.size(), 1, kPlace);
  const auto known = std::ranges::find(groups_, key, [](const auto& group) { return group.first; });
  if (known == groups_.end()) {
    groups_.push_back({std::move(key), {path}});
  } else {
    known->second.push_back(path);
  }
}

std::size_t GroupedTexts::size() const {
  std::size_t size = 0;
  for (const auto& group : groups_) size += group.second.size();
  return size;
}

std::vector<std::string> GroupedTexts::texts() const {
  std::vector<std::string> texts;
  for (const auto& [key, paths] : groups_) {
    std::string text = key;
    const std::size_t place = text.find(kPlace);
    if (place != std::string::npos) text.replace(place, 1, named(paths));
    texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace tenon
