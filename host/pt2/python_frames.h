#pragma once

#include <string_view>

namespace tenon::pt2 {

// Whether an operator was recorded in the `forward` of a torch.autograd.Function, seen from
// Python's stack and the modules that ran, as the exporter writes both: each module that is called
// has a frame `forward`, and so has a Function; a frame that another one calls by that name
// (`super().forward(x)`) is none of either.
bool runs_in_function(std::string_view stack_trace, std::string_view module_stack);

}  // namespace tenon::pt2
