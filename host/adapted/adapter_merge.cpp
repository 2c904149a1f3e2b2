// Adapters folded into weights beside the base's, and taken out again.
#include <algorithm>
#include <mutex>

#include "adapted/adapted_model.h"
#include "base/log.h"

namespace tenon {
void AdaptedModel::merge(const std::vector<std::string>& names) {
  require(names);
  std::vector<std::string> all = merged_;
  for (const std::string& name : names) {
    if (std::ranges::count(all, name) == 0) all.push_back(name);
  }
  if (all.size() == merged_.size()) {
    log::warning("All adapters are already merged, nothing to do.");
    return;
  }
  check_saved(all);
  check_count(all);
  std::vector<std::vector<at::Tensor>> weights;
  for (const auto& [module, site] : sites_) weights.push_back(site.layer->merged_weights(all));
  merge_as_one(all, weights);
  change_merged(std::move(all), std::move(weights), active_);
}

void AdaptedModel::unmerge() {
  if (merged_.empty()) {
    log::warning("Already unmerged. Nothing to do.");
    return;
  }
  change_merged({}, std::vector<std::vector<at::Tensor>>(sites_.size()), active_);
}

// `weights`: by site, with `names` folded in; none of a site stands for its own.
void AdaptedModel::change_merged(std::vector<std::string> names,
                                 std::vector<std::vector<at::Tensor>> weights,
                                 std::vector<std::string> active) {
  std::vector<AdaptedLayer::Merged> merged;
  merged.reserve(weights.size());
  for (const auto& [module, site] : sites_) {
    std::vector<at::Tensor>& own = weights[merged.size()];
    own.resize(site.layer->weights().size());
    merged.push_back({names, std::move(own)});
  }
  const auto exchange_all = [&] {
    std::size_t i = 0;
    for (auto& [module, site] : sites_) site.layer->exchange(merged[i++]);
  };
  const std::unique_lock lock(*set_);
  exchange_all();
  try {
    running_.layers = choose(active);
  } catch (...) {
    exchange_all();
    throw;
  }
  merged_ = std::move(names);
  active_ = std::move(active);
}

}  // namespace tenon
