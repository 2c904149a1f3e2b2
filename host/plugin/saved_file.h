#pragma once

#include <ATen/core/Tensor.h>
#include <tenon/draft/files.h>

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "plugin/declared_options.h"

// What a method changes of an adapter that is about to be written.
struct tenon_file {
  const std::vector<tenon::DeclaredOption>* declared = nullptr;  // the method's keys
  std::vector<std::uint32_t> n_parameters;                       // by layer
  tenon::OptionTable keys = {};
  std::map<std::pair<std::uint32_t, std::uint32_t>, at::Tensor> parameters = {};
};

namespace tenon {

// What tenon_host.extension(TENON_FILES) answers.
const tenon_files_host& files_host();

}  // namespace tenon
