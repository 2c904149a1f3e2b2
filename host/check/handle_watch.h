#pragma once

#include <tenon/tensor.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace tenon {

// Whose a tensor handle is, and whether it may still be used. A handle's address must not be used
// again for another one while it is watched. Safe for several threads.
class HandleWatch {
 public:
  enum class Standing {
    kUnknown,   // none of ours
    kLent,      // the host's, for a call that goes on
    kExpired,   // was lent for a call that has returned
    kOwned,     // the plugin's
    kReleased,  // was the plugin's
  };

  void lend(tenon_tensor handle);
  void expire(tenon_tensor handle);
  // `origin`: the function that made it, for messages.
  void own(tenon_tensor handle, const std::string& origin);
  // Given back, or away: from kOwned to kReleased. Returns how it stood before.
  Standing give_up(tenon_tensor handle);
  Standing standing(tenon_tensor handle) const;

  // Handles owned since a moment, by this thread: "run_base", "aten::add".
  std::uint64_t now() const;
  struct Owned {
    tenon_tensor handle;
    std::string origin;
  };
  std::vector<Owned> owned_since(std::uint64_t moment) const;

 private:
  struct Entry {
    Standing standing = Standing::kUnknown;
    std::uint64_t made = 0;
    std::thread::id maker;
    std::string origin;
  };

  mutable std::mutex mutex_;
  std::unordered_map<tenon_tensor, Entry> entries_;
  std::uint64_t moment_ = 0;
};

}  // namespace tenon
