#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "pt2/problem_list.h"
#include "pt2/pt2_schema.h"

namespace tenon::pt2 {

// What the program's user inputs must look like, in order: dtype, fixed and dynamic dimensions, and
// the name of forward's argument where that argument is a single tensor.
std::vector<tenon::InputSpec> describe_inputs(const Program& program, ProblemList& problems);

// What the export took for granted of the sizes; a condition that is not understood is warned of.
std::vector<SizeExpression> read_guards(const Program& program);

}  // namespace tenon::pt2
