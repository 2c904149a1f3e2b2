#ifndef TENON_HAS_GLOO
#include "base/error.h"
#include "ranks/join.h"

// What there is where tenon is built without gloo's headers.
namespace tenon {
namespace {

[[noreturn]] void fail_without_gloo() {
  throw Error(
      {.stage = Stage::kTraining,
       .message = "this tenon runs as one process: it was built without the headers of gloo",
       .hint = "install them (Debian: libgloo-dev) and build tenon again"});
}

}  // namespace

bool can_join_ranks() { return false; }
std::shared_ptr<Ranks> join_ranks(const Launch& /*launch*/, double /*seconds*/) {
  fail_without_gloo();
}
std::unique_ptr<RankStore> keep_rank_store() { fail_without_gloo(); }

}  // namespace tenon
#endif
