#include "device/backend/generators.h"

#include <ATen/CPUGeneratorImpl.h>

#include <mutex>

namespace test_device {
namespace {

class DeviceGenerator : public c10::GeneratorImpl {
 public:
  DeviceGenerator(c10::DeviceIndex device, at::Generator inner)
      : c10::GeneratorImpl(c10::Device(c10::kPrivateUse1, device),
                           c10::DispatchKeySet(c10::DispatchKey::PrivateUse1)),
        inner_(std::move(inner)) {}

  const at::Generator& inner() const { return inner_; }

  void set_current_seed(std::uint64_t seed) override { inner_.set_current_seed(seed); }
  void set_offset(std::uint64_t offset) override { inner_.set_offset(offset); }
  std::uint64_t get_offset() const override { return inner_.get_offset(); }
  std::uint64_t current_seed() const override { return inner_.current_seed(); }
  std::uint64_t seed() override { return inner_.seed(); }
  void set_state(const c10::TensorImpl& state) override {
    inner_.unsafeGetGeneratorImpl()->set_state(state);
  }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override {
    return inner_.unsafeGetGeneratorImpl()->get_state();
  }

 private:
  DeviceGenerator* clone_impl() const override {
    return new DeviceGenerator(device().index(), inner_.clone());
  }

  at::Generator inner_;
};

}  // namespace

at::Generator new_generator(c10::DeviceIndex device) {
  return at::make_generator<DeviceGenerator>(
      device, at::make_generator<at::CPUGeneratorImpl>(c10::default_rng_seed_val));
}

at::Generator generator_on_host(const at::Generator& generator, std::string_view op) {
  if (!generator.defined()) return generator;
  TORCH_CHECK(generator.device().is_privateuseone(),
              "Expected a 'testdevice' device type for generator but found '", generator.device(),
              "' (", op, ")");
  return static_cast<const DeviceGenerator*>(generator.unsafeGetGeneratorImpl())->inner();
}

}  // namespace test_device
