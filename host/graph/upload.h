#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace tenon {

// A tensor of the CPU on `device`, by way of pinned memory, so that nobody waits for the copy: what
// runs on the device afterwards runs after it. The tensor itself where it lies there already, or
// where it is not defined. Large ones go in parts, so that little memory is pinned at a time.
at::Tensor upload(const at::Tensor& tensor, c10::Device device);
std::vector<at::Tensor> upload(const std::vector<at::Tensor>& tensors, c10::Device device);

}  // namespace tenon
