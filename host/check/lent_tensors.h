#pragma once

#include <ATen/core/Tensor.h>
#include <tenon/tensor.h>

#include <string>
#include <vector>

namespace tenon {

// Tensors lent to the plugin for one call, under handles of their own; afterwards it is seen
// whether any was written to.
class LentTensors {
 public:
  // `what`: "input", "weight", ... for messages.
  LentTensors(std::string what, const tenon_tensor* handles, std::uint32_t n);
  ~LentTensors();
  LentTensors(const LentTensors&) = delete;
  LentTensors& operator=(const LentTensors&) = delete;

  const tenon_tensor* handles() const { return handles_.data(); }
  // Reports rule read-only for each that has changed.
  void check(const std::string& function) const;

 private:
  struct Snapshot {
    at::Tensor tensor;
    at::Tensor copy;
    std::int64_t version;
  };

  std::string what_;
  std::vector<tenon_tensor> handles_;  // NULL stays NULL
  std::vector<Snapshot> snapshots_;
};

}  // namespace tenon
