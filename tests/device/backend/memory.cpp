#include "device/backend/memory.h"

#include <c10/util/Exception.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>

namespace test_device {
namespace {

constexpr std::size_t kReserved = std::size_t{1} << 36;
constexpr std::size_t kAlignment = 64;

std::byte* reserve(int protection) {
  void* const start =
      ::mmap(nullptr, kReserved, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  TORCH_CHECK(start != MAP_FAILED, "no addresses for the test's device");
  return static_cast<std::byte*>(start);
}

// Two ranges of addresses: one that stands for the device's and holds nothing, one with the bytes.
class Arena {
 public:
  Arena() : device_(reserve(PROT_NONE)), host_(reserve(PROT_READ | PROT_WRITE)) {
    const char* const limit = std::getenv("TENON_TEST_DEVICE_BYTES");
    if (limit != nullptr)
      total_ = std::min<std::size_t>(kReserved, std::strtoull(limit, nullptr, 10));
  }

  void* allocate(std::size_t bytes) {
    if (bytes == 0) return nullptr;
    const std::size_t size = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    const std::lock_guard lock(mutex_);
    if (allocated_ + size > total_) {
      throw c10::OutOfMemoryError({__func__, __FILE__, __LINE__},
                                  "the test's device is out of memory. Tried to allocate " +
                                      std::to_string(bytes) + " bytes");
    }
    const std::size_t start = place_for(size);
    sizes_.emplace(start, size);
    allocated_ += size;
    peak_ = std::max(peak_, allocated_);
    return device_ + start;
  }

  void release(void* address) {
    if (address == nullptr) return;
    const std::lock_guard lock(mutex_);
    const auto found = sizes_.find(offset(address));
    allocated_ -= found->second;
    free_.emplace(found->second, found->first);
    sizes_.erase(found);
  }

  bool holds(const void* address) const {
    const auto place = reinterpret_cast<std::uintptr_t>(address);
    const auto start = reinterpret_cast<std::uintptr_t>(device_);
    return place >= start && place < start + kReserved;
  }
  void* on_host(const void* address) const { return host_ + offset(address); }

  std::size_t allocated() const { return allocated_; }
  std::size_t peak() const { return peak_; }
  std::size_t total() const { return total_; }

 private:
  std::size_t offset(const void* address) const {
    return static_cast<std::size_t>(static_cast<const std::byte*>(address) - device_);
  }

  // A freed place of just this size, else a new one.
  std::size_t place_for(std::size_t size) {
    if (const auto found = free_.find(size); found != free_.end()) {
      const std::size_t start = found->second;
      free_.erase(found);
      return start;
    }
    TORCH_CHECK(end_ + size <= kReserved, "no addresses left on the test's device");
    return std::exchange(end_, end_ + size);
  }

  std::byte* device_;
  std::byte* host_;
  std::mutex mutex_;
  std::unordered_map<std::size_t, std::size_t> sizes_;  // by their start
  std::multimap<std::size_t, std::size_t> free_;        // starts by size
  std::size_t end_ = 0;
  std::size_t allocated_ = 0;
  std::size_t peak_ = 0;
  std::size_t total_ = kReserved;
};

// Of the process, and never taken apart, as LibTorch's own allocators are.
Arena& arena() {
  static auto* const only = new Arena();
  return *only;
}

}  // namespace

void* allocate(std::size_t bytes) { return arena().allocate(bytes); }
void release(void* address) { arena().release(address); }
bool is_device_address(const void* address) { return arena().holds(address); }
void* on_host(const void* address) {
  return address == nullptr ? nullptr : arena().on_host(address);
}
std::size_t allocated_bytes() { return arena().allocated(); }
std::size_t peak_bytes() { return arena().peak(); }
std::size_t total_bytes() { return arena().total(); }

}  // namespace test_device
