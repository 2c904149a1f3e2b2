#pragma once

#include <string>
#include <vector>

#include "adapter/adapter_store.h"
#include "plugin/method.h"

namespace tenon {

struct ConfigDifference {
  std::string key;  // of adapter_config.json
  std::string one;  // as JSON
  std::string other;
};

struct TensorDifference {
  std::string key;
  std::string
      what;  // "only in the first", "[4, 20] float32 and [8, 20] float32"; "" if they compare
  double largest = 0;   // absolute difference of two values
  double relative = 0;  // norm of the difference by the norm of the first
};

// What a layer with factors adds to its weight, whatever the factors.
struct LayerDifference {
  std::string name;
  double relative = 0;
};

struct AdapterDifference {
  std::vector<ConfigDifference> config;
  std::vector<TensorDifference> tensors;  // those that differ
  std::vector<LayerDifference> layers;    // of the layers that both have, where the terms differ
  bool same_base = true;                  // by fingerprint, where both have one
  bool equal() const { return config.empty() && tensors.empty() && same_base; }
};

AdapterDifference compare_adapters(const AdapterFiles& one, const AdapterFiles& other,
                                   const MethodTable& methods);

}  // namespace tenon
