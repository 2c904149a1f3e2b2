#include "graph/owned_tensors.h"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace tenon {

OwnedTensors::OwnedTensors(const std::vector<ModelTensor>& tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto tensor = static_cast<std::int32_t>(i);
    std::int32_t rank = 0;
    entries_.push_back({tensors[i].name, tensor, rank});
    for (const std::string& alias : tensors[i].aliases) {
      entries_.push_back({alias, tensor, ++rank});
    }
  }
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& one, const Entry& other) { return one.name < other.name; });
}

std::vector<OwnedTensor> OwnedTensors::of(std::string_view path) const {
  const std::string prefix = path.empty() ? "" : std::string(path) + ".";
  std::vector<const Entry*> found;
  for (auto entry = std::lower_bound(
           entries_.begin(), entries_.end(), prefix,
           [](const Entry&one, const std::string&wanted) { return one.name < wanted; });
       entry != entries_.end() && entry->name.starts_with(prefix); ++entry) {
    found.push_back(&*entry);
  }
  std::sort(found.begin(), found.end(), [](const Entry* one, const Entry* other) {
    return std::tie(one->tensor, one->rank) < std::tie(other->tensor, other->rank);
  });
  std::vector<OwnedTensor> owned;
  for (const Entry* entry : found) {
    if (!owned.empty() && owned.back().tensor == entry->tensor) continue;
    owned.push_back({entry->tensor, entry->name.substr(prefix.size())});
  }
  return owned;
}

std::vector<OwnedTensor> used_by(const std::vector<OwnedTensor>& owned,
                                 const std::vector<Subgraph>& calls,
                                 const std::vector<ModelTensor>& tensors) {
  std::vector<OwnedTensor> used;
  std::ranges::copy_if(owned, std::back_inserter(used), [&](const OwnedTensor& one) {
    return tensors[static_cast<std::size_t>(one.tensor)].kind != ValueKind::kParameter ||
           std::ranges::any_of(calls, [&](const Subgraph& call) {
             return std::ranges::find(call.tensors, one.tensor) != call.tensors.end();
           });
  });
  return used;
}

}  // namespace tenon
