#pragma once

#include <ATen/core/Tensor.h>
#include <tenon/draft/data_start.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "plugin/declared_options.h"

// How an adapter is to start, as its method says it from data.
struct tenon_started {
  struct Layer {
    std::uint32_t n_weights = 0;
    bool is_left_out = false;
    std::map<std::string, at::Tensor> parameters = {};  // by their names in a file
    std::vector<std::pair<std::uint32_t, at::Tensor>> weights = {};
  };
  // What a key is for single layers, by their numbers.
  using KeyOfLayers = std::vector<std::pair<std::uint32_t, tenon::OptionValue>>;

  const std::vector<tenon::DeclaredOption>* declared = nullptr;  // the method's keys
  std::vector<Layer> layers = {};
  std::map<std::string, KeyOfLayers> keys = {};
  std::vector<std::uint32_t> named = {};  // layers in the order in which they were first named
  std::vector<std::string> notes = {};
};

namespace tenon {

// What tenon_host.extension(TENON_DATA_START) answers.
const tenon_data_start_host& data_start_host();

}  // namespace tenon
