#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "inject/adapter_instance.h"

namespace tenon {

// What an adapter's method writes otherwise than it was trained (tenon/draft/files.h).
struct FileOfMethod {
  OptionTable keys;
  std::map<std::string, at::Tensor> tensors;  // by AddedTensor::key
};

// Throws Error{kAdapter} with the plugin's text.
FileOfMethod file_of_method(const AdapterInstance& adapter);

}  // namespace tenon
