#include "data/held_out.h"

#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <vector>

#include "base/error.h"
#include "data/image_reader.h"

namespace tenon {
namespace {

using Rows = std::vector<std::int64_t>;

[[noreturn]] void fail_split(const Dataset& data, const std::string& message,
                             const std::string& hint) {
  throw Error({.stage = Stage::kData, .message = message, .hint = hint, .location = data.source});
}

Rows shuffled(std::int64_t rows, std::uint64_t seed) {
  return batch_rows(rows, rows, /*shuffle=*/true, seed, /*epoch=*/0, /*fixed_size=*/false).front();
}

// How many rows of each group are held out: their shares rounded down, and one more of those with
// the largest rests until there are enough.
std::vector<std::int64_t> counts_of(const std::vector<Rows>& groups, double share,
                                    std::int64_t all) {
  std::vector<std::int64_t> counts;
  std::vector<std::pair<double, std::size_t>> rests;
  std::int64_t left = all;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const double wanted = share * static_cast<double>(groups[i].size());
    counts.push_back(static_cast<std::int64_t>(wanted));
    rests.emplace_back(wanted - std::floor(wanted), i);
    left -= counts.back();
  }
  std::ranges::stable_sort(rests, [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [rest, group] : rests) {
    if (left <= 0) break;
    if (counts[group] == static_cast<std::int64_t>(groups[group].size())) continue;
    ++counts[group];
    --left;
  }
  return counts;
}

// The rows in the drawn order, by class where that is wanted.
std::vector<Rows> groups_of(const Dataset& data, std::uint64_t seed, bool stratify) {
  const Rows order = shuffled(data.rows, seed);
  if (!stratify) return {order};
  if (!data.target || data.target->is_floating_point() || data.target->dim() != 1) {
    fail_split(data, "[data] stratify needs a target of one class for each row",
               "leave stratify out");
  }
  const at::Tensor target = data.target->contiguous();
  std::map<std::int64_t, Rows> by_class;
  for (const std::int64_t row : order) {
    by_class[target.const_data_ptr<std::int64_t>()[row]].push_back(row);
  }
  std::vector<Rows> groups;
  for (auto& [label, rows] : by_class) groups.push_back(std::move(rows));
  return groups;
}

Dataset part_of(const Dataset& data, Rows rows) {
  std::ranges::sort(rows);
  const at::Tensor index = at::tensor(rows, at::kLong);
  Dataset part = data;
  for (std::size_t i = 0; i < part.inputs.size(); ++i) {
    const bool has_rows = part.inputs[i].dim() > 0 && !(i < data.shared.size() && data.shared[i]);
    if (has_rows) part.inputs[i] = part.inputs[i].index_select(0, index);
  }
  if (part.images) part.images = std::make_shared<const ImageReader>(part.images->part(rows));
  if (part.target) part.target = part.target->index_select(0, index);
  for (at::Tensor& target : part.other_targets) {
    if (target.defined()) target = target.index_select(0, index);
  }
  if (part.weights) part.weights = part.weights->index_select(0, index);
  part.rows = static_cast<std::int64_t>(rows.size());
  return part;
}

}  // namespace

std::pair<Dataset, Dataset> hold_out(const Dataset& data, double share, std::uint64_t seed,
                                     bool stratify) {
  if (data.is_one_batch) {
    fail_split(data, "[data] eval_fraction cannot part rows that belong together",
               "give a file of its own with [data] eval");
  }
  const auto wanted = static_cast<std::int64_t>(std::ceil(share * static_cast<double>(data.rows)));
  if (wanted < 1 || wanted >= data.rows) {
    fail_split(data,
               "[data] eval_fraction leaves " + std::to_string(data.rows - wanted) + " of " +
                   std::to_string(data.rows) + " rows to train on",
               "take a smaller share, or more rows");
  }
  const std::vector<Rows> groups = groups_of(data, seed, stratify);
  const std::vector<std::int64_t> counts = counts_of(groups, share, wanted);
  Rows held;
  Rows kept;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto end = groups[i].begin() + counts[i];
    held.insert(held.end(), groups[i].begin(), end);
    kept.insert(kept.end(), end, groups[i].end());
  }
  return {part_of(data, std::move(kept)), part_of(data, std::move(held))};
}

}  // namespace tenon
