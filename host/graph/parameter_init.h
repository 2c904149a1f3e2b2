#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace tenon {

// A seeded generator of its own, so that nothing else a program draws changes how parameters start.
at::Generator make_generator(std::uint64_t seed);

// Fills a tensor in place. `init` and its two numbers are those of tenon_parameter
// (tenon/layer_type.h). Throws std::invalid_argument for a name that is not one of them.
void initialise(at::Tensor& tensor, const std::string& init, double a, double b,
                at::Generator generator);

}  // namespace tenon
