#include "pt2/json_text.h"

#include <algorithm>

namespace tenon {
namespace {

// The index of the quote that ends the string begun before `index`, or the text's end.
std::size_t end_of_string(std::string_view text, std::size_t index) {
  while (index < text.size() && text[index] != '"') index += text[index] == '\\' ? 2 : 1;
  return std::min(index, text.size());
}

}  // namespace

JsonExtent json_extent(std::string_view text) {
  JsonExtent extent;
  std::size_t depth = 0;
  for (std::size_t index = 0; index < text.size(); ++index) {
    switch (text[index]) {
      case '"': {
        const std::size_t begin = index + 1;
        index = end_of_string(text, begin);
        extent.longest_string = std::max(extent.longest_string, index - begin);
        break;
      }
      case '{':
      case '[':
        extent.depth = std::max(extent.depth, ++depth);
        ++extent.values;
        break;
      case '}':
      case ']':
        if (depth > 0) --depth;
        break;
      case ',':
      case ':':
        ++extent.values;
        break;
      default:
        break;
    }
  }
  return extent;
}

}  // namespace tenon
