#pragma once

#include <c10/core/ScalarType.h>

#include <optional>

#include "graph/graph.h"

// What operators do with the dtypes of their arguments.
namespace tenon {

enum class DtypeRule {
  kCast,          // the result is of the dtype asked for, or of another argument's
  kView,          // the result holds the argument's numbers
  kPromotes,      // mixed dtypes promote
  kFirstDecides,  // the first argument's dtype is the result's, whatever the others'
  kOneDtype,      // all tensors are to have one; so it is with whatever is not known to be else
};
DtypeRule dtype_rule(const Node& node);

// The argument that names the result's dtype (as c10's number); nullptr if none does.
const NamedArgument* dtype_argument(const Node& node);
at::ScalarType asked_dtype(const NamedArgument& argument);

// The first tensor or number among a node's arguments that the graph makes; kNoValue if none.
ValueId first_value(const Node& node);

// The greatest finite number of a floating-point dtype.
double greatest_of(at::ScalarType dtype);
// Numbers among a node's arguments beyond what `dtype` can say become its greatest or least.
void keep_in_range(Node& node, at::ScalarType dtype);

}  // namespace tenon
