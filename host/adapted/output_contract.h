#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

namespace tenon {

// What the base of one call site gives, by the sizes and types of what it gets: what a plugin's
// outputs are compared with. May be asked from several threads.
class OutputContract {
 public:
  using Values = std::span<const c10::IValue>;

  // What is wrong with the outputs of a call on these values, its tensors and numbers; "" if
  // nothing is. `run_base` tells what the base gives, once for inputs that are new. `resizes`:
  // sizes may differ.
  std::string find_fault(Values inputs, std::span<const at::Tensor> outputs, bool resizes,
                         const std::function<std::vector<c10::IValue>()>& run_base);
  // What the base was seen to give.
  void learn(Values inputs, Values outputs);

 private:
  struct Facts {
    at::ScalarType dtype = at::kFloat;
    std::vector<std::int64_t> sizes;
    bool is_tensor = false;
    bool fit(const at::Tensor& tensor) const;
  };
  struct Known {
    std::vector<Facts> inputs;
    int autocast = -1;
    std::vector<Facts> outputs;
  };
  static Facts facts_of(const c10::IValue& value);
  const Known* find(Values inputs) const;
  static std::string compare(const Known& known, std::span<const at::Tensor> outputs, bool resizes);

  mutable std::shared_mutex mutex_;
  std::vector<Known> known_;
};

}  // namespace tenon
