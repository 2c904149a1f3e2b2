#include "capture/probe_sizes.h"

#include <ATen/ATen.h>

namespace tenon {
namespace {

using Places = std::vector<std::pair<std::size_t, std::int64_t>>;

std::vector<SizeGroup> candidates(const std::vector<at::Tensor>& inputs) {
  std::vector<SizeGroup> groups;
  const auto join = [&](std::size_t input, std::int64_t dimension, std::size_t from) {
    const std::int64_t size = inputs[input].size(dimension);
    for (std::size_t g = from; g < groups.size(); ++g) {
      if (groups[g].size == size) {
        groups[g].places.emplace_back(input, dimension);
        return;
      }
    }
    groups.push_back({{{input, dimension}}, size, {}, false});
  };
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].dim() > 0) join(i, 0, 0);
  }
  if (!groups.empty()) groups.front().is_batch = groups.front().places.front().first == 0;
  const std::size_t first_other = groups.size();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    for (std::int64_t d = 1; d < inputs[i].dim(); ++d) join(i, d, first_other);
  }
  return groups;
}

// Up to three sizes that the model takes; neighbours first, then multiples, which survive
// divisions.
std::vector<std::int64_t> accepted_sizes(
    const std::vector<at::Tensor>& inputs, const SizeGroup& group,
    const std::function<bool(const std::vector<at::Tensor>&)>& accepts) {
  std::vector<std::int64_t> sizes;
  const std::int64_t size = group.size;
  for (const std::int64_t other : {size + 1, size + 3, size + 6, 2 * size, 3 * size, 4 * size}) {
    if (size < 1 || std::find(sizes.begin(), sizes.end(), other) != sizes.end()) {
      continue;
    }
    if (accepts(resized(inputs, {{group, other}}))) sizes.push_back(other);
    if (sizes.size() == 3) break;
  }
  return sizes;
}

}  // namespace

std::vector<at::Tensor> resized(const std::vector<at::Tensor>& inputs,
                                const std::vector<std::pair<SizeGroup, std::int64_t>>& sizes) {
  std::vector<at::Tensor> result = inputs;
  for (const auto& [group, size] : sizes) {
    const at::Tensor rows = at::arange(size, at::kLong).remainder(group.size);
    for (const auto& [input, dimension] : group.places) {
      result[input] = result[input].detach().index_select(dimension, rows);
    }
  }
  return result;
}

std::vector<SizeGroup> probe_sizes(
    const std::vector<at::Tensor>& inputs,
    const std::function<bool(const std::vector<at::Tensor>&)>& accepts) {
  std::vector<SizeGroup> groups;
  const auto take = [&](SizeGroup group) {
    group.others = accepted_sizes(inputs, group, accepts);
    if (!group.others.empty()) groups.push_back(group);
    return !group.others.empty();
  };
  for (const SizeGroup& group : candidates(inputs)) {
    if (take(group) || group.places.size() == 1) continue;
    for (const auto& place : group.places) {
      const bool is_batch = group.is_batch && place == group.places.front();
      take({{place}, group.size, {}, is_batch});
    }
  }
  return groups;
}

}  // namespace tenon
