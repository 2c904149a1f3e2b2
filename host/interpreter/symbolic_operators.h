#pragma once

#include <ATen/core/ivalue.h>

#include <string_view>
#include <vector>

namespace tenon {

// Arithmetic on sizes as Python does it, by the names an exported program uses: "_operator.add",
// "_operator.floordiv", "math.ceil", "torch.sym_max", ...
using SymbolicOperator = c10::IValue (*)(const std::vector<c10::IValue>&);

// nullptr if the name is not known.
SymbolicOperator find_symbolic_operator(std::string_view target);

}  // namespace tenon
