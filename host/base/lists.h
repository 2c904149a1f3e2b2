#pragma once

#include <algorithm>
#include <utility>
#include <vector>

namespace tenon {

template <typename T>
bool is_in(const std::vector<T>& list, const T& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

template <typename T>
void add_once(std::vector<T>& list, T item) {
  if (!is_in(list, item)) list.push_back(std::move(item));
}

}  // namespace tenon
