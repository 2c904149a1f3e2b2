#include "graph/new_tensor.h"

#include <ATen/ATen.h>

#include "base/safetensors_layout.h"

namespace tenon {

at::Tensor new_tensor(const std::vector<std::int64_t>& shape, at::ScalarType dtype,
                      Failure failure) {
  const auto bytes = tensor_byte_count(shape, c10::elementSize(dtype));
  failure.message += " " + c10::str(at::IntArrayRef(shape));
  if (!bytes) {
    failure.message += " is larger than any memory";
    throw Error(failure);
  }
  try {
    return at::empty(shape, dtype);
  } catch (const c10::Error&) {  // the one thing that can fail
    failure.message += " takes " + std::to_string(*bytes) + " bytes, which there are not";
    throw Error(failure);
  }
}

}  // namespace tenon
