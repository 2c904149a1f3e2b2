#pragma once

#include <ATen/core/Tensor.h>
#include <tenon/host.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

#include "check/child_process.h"
#include "check/handle_watch.h"
#include "check/rules.h"

// The host's table with a look at every call that the plugin under check makes. The C interface
// hands no context to its functions, so there is one probe for a process: the children of
// run_in_child each check one thing and end.
namespace tenon {

class HostProbe {
 public:
  static HostProbe& instance();
  HostProbe(const HostProbe&) = delete;
  HostProbe& operator=(const HostProbe&) = delete;

  // The table to hand to the plugin in place of host_table().
  const tenon_host& table() const { return table_; }

  // Where the running function is told, for the message if the child dies. May be nullptr.
  void tell(const ChildChannel* channel) { channel_ = channel; }
  void step(const std::string& text) const;

  // A rule that the plugin was seen to break; the same words count once.
  void report(const std::string& rule, const std::string& detail);
  Findings findings() const;
  // Whether validate or add_adapter has answered TENON_UNSUPPORTED.
  void note_refusal() { refused_ = true; }
  bool refused() const { return refused_; }

  // The k-th call (from 1) that this thread makes from now on fails; 0: none.
  void force_failure(std::uint64_t k);
  // "call 3 (run_base)" if it has been; else "".
  std::string forced_failure() const;

  // Tensors that the plugin may use until a call returns. The handle of each has an address of its
  // own for as long as the process lives, so that a later use is recognised.
  tenon_tensor lend(const at::Tensor& tensor);
  void expire(tenon_tensor handle);
  // Takes the tensor of an output that the plugin wrote, and tells what is wrong with the handle:
  // "" or "is borrowed", ...
  at::Tensor take(tenon_tensor handle, std::string& fault);
  HandleWatch& handles() { return handles_; }
  // What every function of the table does before it asks the real host: looks at the handles that
  // it is given, and fails if its turn has come. TENON_OK if neither stands in the way.
  tenon_status before_call(const char* function, const tenon_tensor* handles, std::uint32_t n,
                           tenon_error* error);

  // What else a plugin borrows: setups, errors, call contexts.
  void open(const void* borrowed);
  void close(const void* borrowed);

  // Of watched functions that this thread is in.
  static thread_local int watched_depth;

  // Whether threads are counted around each function: not while the check itself runs several.
  bool counts_threads = true;

 private:
  friend struct ProbedFunctions;
  HostProbe();

  bool is_open(const void* borrowed) const;

  tenon_host table_;
  const ChildChannel* channel_ = nullptr;
  HandleWatch handles_;
  mutable std::mutex mutex_;
  Findings findings_;
  bool refused_ = false;
  std::unordered_map<const void*, int> open_;
};

inline HostProbe& probe() { return HostProbe::instance(); }

}  // namespace tenon
