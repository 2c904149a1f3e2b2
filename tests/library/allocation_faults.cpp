#include "library/allocation_faults.h"

#include <cstdlib>
#include <new>

namespace {

thread_local bool is_armed = false;
thread_local long fails_at = 0;
thread_local long count = 0;

void* allocate(std::size_t size, std::size_t alignment) {
  if (is_armed && ++count == fails_at) throw std::bad_alloc();
  void* memory = alignment == 0 ? std::malloc(size == 0 ? 1 : size)
                                : std::aligned_alloc(
                                      alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size, 0); }
void* operator new[](std::size_t size) { return allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace tenon {

AllocationFaults::AllocationFaults(long at) {
  fails_at = at;
  count = 0;
  is_armed = true;
}
AllocationFaults::~AllocationFaults() { is_armed = false; }
long AllocationFaults::counted() const { return count; }

}  // namespace tenon
