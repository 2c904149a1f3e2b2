#include "capture/probe_sizes.h"

#include <ATen/ATen.h>

#include "base/suggest.h"

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
    groups.push_back({{{input, dimension}}, size, {}, {}, 1, false});
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

std::int64_t numbers_in(const std::vector<at::Tensor>& inputs) {
  std::int64_t numbers = 0;
  for (const at::Tensor& input : inputs) numbers += input.numel();
  return numbers;
}

// Two, and the largest that costs little.
std::vector<std::int64_t> far_sizes(
    const std::vector<at::Tensor>& inputs, const SizeGroup& group,
    const std::function<bool(const std::vector<at::Tensor>&)>& accepts) {
  constexpr std::int64_t kMostNumbers = std::int64_t{1} << 17;  // in all inputs
  std::vector<std::int64_t> sizes;
  if (group.size > 2 && accepts(resized(inputs, {{group, 2}}))) sizes.push_back(2);
  for (const std::int64_t size : {131, 67, 33}) {
    if (size <= 4 * group.size || numbers_in(inputs) / group.size * size > kMostNumbers) continue;
    if (!accepts(resized(inputs, {{group, size}}))) continue;
    sizes.push_back(size);
    break;
  }
  return sizes;
}

}  // namespace

std::string places_text(const SizeGroup& group, const std::vector<InputSpec>& inputs) {
  std::vector<std::string> names;
  for (const auto& [input, dimension] : group.places) {
    names.push_back("dimension " + std::to_string(dimension) + " of `" + inputs[input].name + "`");
  }
  return join(names);
}

std::int64_t size_in(const GroupSizes& sizes, const SizeGroup& group) {
  for (const auto& [other, size] : sizes) {
    if (other.places == group.places) return size;
  }
  return group.size;
}

std::vector<at::Tensor> resized(const std::vector<at::Tensor>& inputs, const GroupSizes& sizes) {
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
    if (!group.others.empty()) {
      group.far = far_sizes(inputs, group, accepts);
      groups.push_back(group);
    }
    return !group.others.empty();
  };
  for (const SizeGroup& group : candidates(inputs)) {
    if (take(group) || group.places.size() == 1) continue;
    for (const auto& place : group.places) {
      const bool is_batch = group.is_batch && place == group.places.front();
      take({{place}, group.size, {}, {}, 1, is_batch});
    }
  }
  return groups;
}

std::vector<at::Tensor> other_data(
    const std::vector<at::Tensor>& inputs,
    const std::function<bool(const std::vector<at::Tensor>&)>& accepts) {
  for (const bool flips : {true, false}) {
    std::vector<at::Tensor> turned;
    for (const at::Tensor& input : inputs) {
      const at::Tensor other = input.is_floating_point() ? input.neg() : input;
      turned.push_back(flips && other.dim() > 0 ? other.flip(0) : other);
    }
    if (accepts(turned)) return turned;
  }
  return inputs;
}

}  // namespace tenon
