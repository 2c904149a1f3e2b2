#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

namespace test_device {

// The tensors of one call of an operator: the CPU's kernels see the device's numbers through
// aliases, and what they give becomes tensors of the device again.
class Aliases {
 public:
  explicit Aliases(std::string op) : op_(std::move(op)) {}

  // A CPU tensor of the same numbers. Numbers of the CPU (no dimensions) pass as they are; other
  // tensors of another device throw, as they do on a GPU.
  at::Tensor of(const at::Tensor& tensor, bool may_be_on_cpu = false);

  // What the kernels did to sizes and storages of the arguments themselves. Before results are
  // taken.
  void write_back();

  // A result: an argument itself, a view of one, or a new tensor.
  at::Tensor back(const at::Tensor& result) const;

  c10::Device device() const { return device_; }

 private:
  c10::Storage storage_of(const c10::Storage& storage);

  struct Pair {
    at::Tensor own;
    at::Tensor alias;
  };
  std::string op_;
  c10::Device device_{c10::kPrivateUse1, 0};
  bool is_known_ = false;
  std::vector<Pair> pairs_;
  std::vector<std::pair<c10::Storage, c10::Storage>> storages_;  // the device's, the CPU's
};

// A new tensor of the device with these numbers, laid out as they are.
at::Tensor moved(const at::Tensor& cpu, c10::Device device);

}  // namespace test_device
