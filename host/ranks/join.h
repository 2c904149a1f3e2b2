#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "ranks/launch.h"
#include "ranks/ranks.h"

namespace tenon {

// Whether this tenon was built with what processes exchange tensors by.
bool can_join_ranks();

// Meets the other processes of `launch` (LibTorch's TCPStore and ProcessGroupGloo). Throws
// Error{kTraining} that names the ranks that did not come within `seconds`.
std::shared_ptr<Ranks> join_ranks(const Launch& launch, double seconds);

// A place where ranks find each other, for a launcher that keeps it while they come and go.
class RankStore {
 public:
  virtual ~RankStore() = default;
  virtual std::uint16_t port() const = 0;
};
std::unique_ptr<RankStore> keep_rank_store();

}  // namespace tenon
