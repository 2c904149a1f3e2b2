#pragma once

#include <cstdint>
#include <string>

#include "adapted/adapted_model.h"

namespace tenon {

// Trainable and all parameters, buffers not: of the base every storage once, of adapters every
// parameter, so that tied ones count at each layer, as in PEFT.
struct ParameterCount {
  std::int64_t trainable = 0;
  std::int64_t all = 0;
};
ParameterCount count_parameters(const AdaptedModel& model);

// "trainable params: 52,162 || all params: 4,100,164 || trainable%: 1.2722", as PEFT prints it.
std::string trainable_line(const ParameterCount& count);

}  // namespace tenon
