#include "model/devices.h"

#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/util/Exception.h>

#include <optional>

#include "base/error.h"
#include "model/gpu_facts.h"

namespace tenon {
namespace {

[[noreturn]] void fail(const ModelConfig& config, const std::string& why, const std::string& hint) {
  throw Error({.stage = Stage::kModel,
               .message = "[model] device = \"" + config.device + "\": " + why,
               .hint = hint,
               .location = config.location});
}

std::optional<c10::Device> parsed(const std::string& name) {
  try {
    return c10::Device(name);
  } catch (const c10::Error&) {
    return std::nullopt;
  }
}

int device_count(c10::DeviceType type) {
  if (!c10::impl::hasDeviceGuardImpl(type)) return 0;
  return c10::impl::getDeviceGuardImpl(type)->deviceCount();
}

}  // namespace

std::string devices_text(c10::DeviceType type) {
  std::string text;
  const int count = device_count(type);
  for (int i = 0; i < count; ++i) {
    text += (i == 0 ? "" : (i + 1 == count ? " and " : ", ")) +
            c10::Device(type, static_cast<c10::DeviceIndex>(i)).str();
  }
  return text.empty() ? "none" : text;
}

c10::Device require_device(const ModelConfig& config) {
  const std::optional<c10::Device> device = parsed(config.device);
  if (!device || device->is_meta()) {
    fail(config, "there is no such device",
         "say \"cpu\", \"cuda\", or \"cuda:1\" for the second GPU");
  }
  if (device->is_cpu()) return c10::kCPU;
  if (device->is_cuda()) {
    const GpuProblem problem = find_problem(load_gpu_facts());
    if (!problem.what.empty()) {
      fail(config, problem.what, problem.remedy + "; device = \"cpu\" runs on the processor");
    }
  }
  const int count = device_count(device->type());
  if (count == 0) fail(config, "this LibTorch has no such device", "set device = \"cpu\"");
  const int index = device->has_index() ? device->index() : 0;
  if (index >= count) {
    fail(config, "there is no such device: LibTorch sees " + devices_text(device->type()),
         "name one of them");
  }
  return {device->type(), static_cast<c10::DeviceIndex>(index)};
}

}  // namespace tenon
