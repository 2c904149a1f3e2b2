#pragma once

namespace tenon {

// While it lives, the `at`-th allocation of this thread by operator new fails, in LibTorch and in
// the library too; of 0 none, they are only counted.
class AllocationFaults {
 public:
  explicit AllocationFaults(long at);
  ~AllocationFaults();
  AllocationFaults(const AllocationFaults&) = delete;
  AllocationFaults& operator=(const AllocationFaults&) = delete;

  long counted() const;
};

}  // namespace tenon
