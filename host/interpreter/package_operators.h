#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string>

namespace tenon {

// The operator of that name in LibTorch's dispatcher. Some that a Python package brings along, and
// that its models' exports keep as one node, are defined here in LibTorch's own operators.
std::optional<c10::OperatorHandle> find_operator(const std::string& name,
                                                 const std::string& overload);

}  // namespace tenon
