#include "check/lent_tensors.h"

#include <ATen/ATen.h>

#include <cstring>

#include "check/host_probe.h"
#include "plugin/handles.h"

namespace tenon {
namespace {

// By bytes, so that NaN equals itself.
bool same_bytes(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor left = a.detach().to(at::kCPU).contiguous();
  const at::Tensor right = b.to(at::kCPU);
  return left.sizes() == right.sizes() &&
         std::memcmp(left.const_data_ptr(), right.const_data_ptr(), right.nbytes()) == 0;
}

}  // namespace

LentTensors::LentTensors(std::string what, const tenon_tensor* handles, std::uint32_t n)
    : what_(std::move(what)) {
  for (std::uint32_t i = 0; handles != nullptr && i < n; ++i) {
    if (handles[i] == nullptr) {
      handles_.push_back(nullptr);
      continue;
    }
    const at::Tensor& tensor = from_handle(handles[i]);
    snapshots_.push_back({tensor, tensor.detach().clone(at::MemoryFormat::Contiguous),
                          static_cast<std::int64_t>(tensor._version())});
    handles_.push_back(HostProbe::instance().lend(tensor));
  }
}

LentTensors::~LentTensors() {
  for (const tenon_tensor handle : handles_) {
    if (handle != nullptr) HostProbe::instance().expire(handle);
  }
}

void LentTensors::check(const std::string& function) const {
  for (std::size_t i = 0; i < snapshots_.size(); ++i) {
    const Snapshot& before = snapshots_[i];
    if (static_cast<std::int64_t>(before.tensor._version()) == before.version &&
        same_bytes(before.tensor, before.copy)) {
      continue;
    }
    HostProbe::instance().report("read-only", function + " wrote to " + what_ + " " +
                                                  std::to_string(i) +
                                                  "; take a new tensor for the result");
  }
}

}  // namespace tenon
