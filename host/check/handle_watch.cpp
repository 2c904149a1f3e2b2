#include "check/handle_watch.h"

#include <algorithm>

namespace tenon {

void HandleWatch::lend(tenon_tensor handle) {
  const std::lock_guard lock(mutex_);
  entries_[handle].standing = Standing::kLent;
}

void HandleWatch::expire(tenon_tensor handle) {
  const std::lock_guard lock(mutex_);
  entries_[handle].standing = Standing::kExpired;
}

void HandleWatch::own(tenon_tensor handle, const std::string& origin) {
  const std::lock_guard lock(mutex_);
  entries_[handle] = {Standing::kOwned, ++moment_, std::this_thread::get_id(), origin};
}

HandleWatch::Standing HandleWatch::give_up(tenon_tensor handle) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(handle);
  if (found == entries_.end()) return Standing::kUnknown;
  const Standing before = found->second.standing;
  if (before == Standing::kOwned) found->second.standing = Standing::kReleased;
  return before;
}

HandleWatch::Standing HandleWatch::standing(tenon_tensor handle) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(handle);
  return found == entries_.end() ? Standing::kUnknown : found->second.standing;
}

std::uint64_t HandleWatch::now() const {
  const std::lock_guard lock(mutex_);
  return moment_;
}

std::vector<HandleWatch::Owned> HandleWatch::owned_since(std::uint64_t moment) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::uint64_t, Owned>> found;
  for (const auto& [handle, entry] : entries_) {
    if (entry.standing == Standing::kOwned && entry.made > moment &&
        entry.maker == std::this_thread::get_id()) {
      found.push_back({entry.made, {handle, entry.origin}});
    }
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Owned> owned;
  for (auto& [made, each] : found) owned.push_back(std::move(each));
  return owned;
}

}  // namespace tenon
