// What LibTorch asks of a device beside its operators.
#include <ATen/Context.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <cstdlib>
#include <map>
#include <mutex>

#include "device/backend/generators.h"
#include "device/backend/memory.h"

namespace test_device {
namespace {

constexpr c10::DeviceIndex kDevices = 2;
thread_local c10::DeviceIndex current = 0;

c10::Device device_of(c10::DeviceIndex index) { return {c10::kPrivateUse1, index}; }

class Guard : public c10::impl::DeviceGuardImplInterface {
 public:
  Guard() = default;
  explicit Guard(c10::DeviceType) {}
  c10::DeviceType type() const override { return c10::kPrivateUse1; }
  c10::Device exchangeDevice(c10::Device device) const override {
    const c10::Device before = getDevice();
    setDevice(device);
    return before;
  }
  c10::Device getDevice() const override { return device_of(current); }
  void setDevice(c10::Device device) const override {
    TORCH_CHECK(device.index() < kDevices, "there is no ", device);
    uncheckedSetDevice(device);
  }
  void uncheckedSetDevice(c10::Device device) const noexcept override {
    if (device.has_index()) current = device.index();
  }
  c10::Stream getStream(c10::Device device) const override {
    return c10::Stream(c10::Stream::DEFAULT,
                       device_of(device.has_index() ? device.index() : current));
  }
  c10::Stream getDefaultStream(c10::Device device) const override { return getStream(device); }
  c10::Stream getNewStream(c10::Device device, int) const override { return getStream(device); }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    return getStream(stream.device());
  }
  c10::DeviceIndex deviceCount() const noexcept override { return kDevices; }
  // All work is done when a call returns.
  void record(void** event, const c10::Stream&, const c10::DeviceIndex,
              const c10::EventFlag) const override {
    *event = &current;
  }
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
  void synchronizeEvent(void*) const override {}
  void synchronizeDevice(const c10::DeviceIndex) const override {}
};

class DeviceMemory : public c10::DeviceAllocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* const address = test_device::allocate(bytes);
    return {address, address, test_device::release, device_of(current)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return test_device::release; }
  void copy_data(void* to, const void* from, std::size_t count) const override {
    default_copy_data(on_host(to), on_host(from), count);
  }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override {
    c10::CachingDeviceAllocator::DeviceStats stats;
    auto& bytes =
        stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
    bytes.current = static_cast<std::int64_t>(allocated_bytes());
    bytes.peak = static_cast<std::int64_t>(peak_bytes());
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override {}
  std::pair<std::size_t, std::size_t> getMemoryInfo(c10::DeviceIndex) override {
    return {total_bytes() - allocated_bytes(), total_bytes()};
  }
};

// Memory of the CPU that copies to the device need not wait for.
class PinnedMemory : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* const address = std::malloc(bytes == 0 ? 1 : bytes);
    if (address == nullptr) throw std::bad_alloc();
    const std::lock_guard lock(mutex());
    ends()[static_cast<std::byte*>(address)] = static_cast<std::byte*>(address) + bytes;
    return {address, address, free_block, c10::kCPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return free_block; }
  void copy_data(void* to, const void* from, std::size_t count) const override {
    default_copy_data(to, from, count);
  }
  static bool holds(const void* address) {
    const std::lock_guard lock(mutex());
    auto* const place = static_cast<std::byte*>(const_cast<void*>(address));
    const auto after = ends().upper_bound(place);
    return after != ends().begin() && place < std::prev(after)->second;
  }

 private:
  static std::mutex& mutex() {
    static auto* const only = new std::mutex();
    return *only;
  }
  static std::map<std::byte*, std::byte*>& ends() {
    static auto* const only = new std::map<std::byte*, std::byte*>();
    return *only;
  }
  static void free_block(void* address) {
    {
      const std::lock_guard lock(mutex());
      ends().erase(static_cast<std::byte*>(address));
    }
    std::free(address);
  }
};

PinnedMemory& pinned_memory() {
  static auto* const only = new PinnedMemory();
  return *only;
}

struct Hooks : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return kDevices; }
  void setCurrentDevice(c10::DeviceIndex device) const override { current = device; }
  c10::DeviceIndex getCurrentDevice() const override { return current; }
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex device) const override {
    return std::exchange(current, device);
  }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex device) const override {
    return exchangeDevice(device);
  }
  bool isPinnedPtr(const void* data) const override { return PinnedMemory::holds(data); }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &pinned_memory(); }
  at::Device getDeviceFromPtr(void*) const override { return device_of(current); }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex index) const override {
    static auto* const generators =
        new std::array<at::Generator, kDevices>{new_generator(0), new_generator(1)};
    return generators->at(static_cast<std::size_t>(index < 0 ? current : index));
  }
  at::Generator getNewGenerator(c10::DeviceIndex index) const override {
    return new_generator(index < 0 ? current : index);
  }
};

DeviceMemory& device_memory() {
  static auto* const only = new DeviceMemory();
  return *only;
}

// When the library is loaded.
struct Registration {
  Registration() {
    c10::SetAllocator(c10::kPrivateUse1, &device_memory());
    at::RegisterPrivateUse1HooksInterface(new Hooks());
    c10::register_privateuse1_backend("testdevice");
  }
};
const Registration registration;

}  // namespace

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard)

}  // namespace test_device
