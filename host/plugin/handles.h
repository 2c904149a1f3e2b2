#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <tenon/host.h>

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "config/adapter_config.h"
#include "plugin/option_values.h"

// The host's side of the opaque types of the C boundary.

// Where a plugin's failing function leaves its text.
struct tenon_error {
  tenon_status status = TENON_OK;
  std::string text;
};

// One forward of one call site: runs the frozen base for tenon_host.run_base.
struct tenon_call_context {
  virtual ~tenon_call_context() = default;
  // `inputs` in the order of the call's; `replaced` are weight numbers and their replacements.
  virtual std::vector<at::Tensor> run_base(
      std::span<const tenon_tensor> inputs,
      std::span<const std::pair<std::uint32_t, at::Tensor>> replaced) = 0;
};

namespace tenon {

// A handle is a pointer to an at::Tensor: borrowed ones point into the host's own memory, owned
// ones to the heap. LibTorch's AtenTensorHandle is the same.
inline tenon_tensor to_handle(const at::Tensor& tensor) {
  return reinterpret_cast<tenon_tensor>(const_cast<at::Tensor*>(&tensor));
}
inline at::Tensor& from_handle(tenon_tensor handle) {
  return *reinterpret_cast<at::Tensor*>(handle);
}
inline tenon_tensor new_handle(at::Tensor tensor) {
  return reinterpret_cast<tenon_tensor>(new at::Tensor(std::move(tensor)));
}
// Takes the tensor out of an owned handle; undefined for NULL.
inline at::Tensor take_handle(tenon_tensor handle) {
  if (handle == nullptr) return {};
  at::Tensor tensor = std::move(from_handle(handle));
  delete &from_handle(handle);
  return tensor;
}

// A parameter that a layer type declared: a copy of tenon_parameter.
struct ParameterSpec {
  std::string name;
  std::string file_name;  // as a file has it behind the module's path, where that differs
  std::vector<std::int64_t> shape;
  std::int32_t dtype = -1;
  std::uint32_t flags = 0;
  std::string init;
  double init_a = 0;
  double init_b = 0;
  std::string shared_key;  // "": the layer's own

  bool is_shared() const { return !shared_key.empty(); }
  bool trainable() const { return (flags & TENON_PARAMETER_TRAINABLE) != 0; }
  bool is_saved() const { return (flags & TENON_PARAMETER_NOT_SAVED) == 0; }
  bool keeps_float32() const { return (flags & TENON_PARAMETER_KEEP_FP32) != 0; }
  bool operator==(const ParameterSpec&) const = default;
};

// A parameter or buffer of a layer, as injection describes it.
struct WeightFacts {
  std::string name;  // relative to the module
  std::vector<std::int64_t> shape;
  std::int32_t dtype = TENON_DTYPE_FLOAT32;
  bool is_buffer = false;
  bool is_target = false;  // named by target_parameters
  bool operator==(const WeightFacts&) const = default;
};

// Owns everything that a tenon_base points to. Neither copied nor moved: plugins hold its address.
class LayerFacts : public tenon_base {
 public:
  struct Description {
    std::string type;
    std::string module_path;
    std::string operator_name;
    std::vector<WeightFacts> weights;
    OptionTable attributes;
    std::uint32_t n_inputs = 0;
    std::uint32_t n_outputs = 0;
    bool operator==(const Description&) const = default;
  };
  explicit LayerFacts(Description description);
  LayerFacts(const LayerFacts&) = delete;
  LayerFacts& operator=(const LayerFacts&) = delete;

  const Description& description() const { return description_; }

  // The attributes as plugins see them, for tenon_host.attribute.
  const std::map<std::string, tenon_value>& attribute_values() const { return attribute_values_; }

 private:
  Description description_;
  std::map<std::string, tenon_value> attribute_values_;
  OptionViews views_;
  std::vector<tenon_weight_info> infos_;
  std::vector<const tenon_weight_info*> info_pointers_;
};

}  // namespace tenon

// One adapter being added to one layer: options in, parameters out.
struct tenon_setup {
  tenon::OptionTable options;
  std::vector<tenon::ParameterSpec> parameters;
  mutable tenon::OptionViews views;
  mutable std::set<std::string> asked = {};  // the options that the plugin has looked at
};

// The host's seeded source of random numbers.
struct tenon_generator {
  at::Generator generator;
};
