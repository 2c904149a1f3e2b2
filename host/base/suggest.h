#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

// The candidates nearest to `name` by edit distance, best first; only those near enough that a
// typing slip explains them (distance at most a third of the longer name, at least 1).
std::vector<std::string> nearest(std::string_view name, std::span<const std::string> candidates,
                                 std::size_t limit);

// "did you mean `x`?" or "did you mean `x`, `y` or `z`?"; empty when nothing is near.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates,
                         std::size_t limit = 3);

// "a, b, c" for messages; "" for none.
std::string join(std::span<const std::string> words, std::string_view separator = ", ");

}  // namespace tenon
