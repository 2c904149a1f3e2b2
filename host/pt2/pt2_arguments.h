#pragma once

#include <vector>

#include "pt2/pt2_schema.h"

// How the generated reader's arguments and tensor descriptions become ours. For pt2_schema.cpp.
namespace torch::_export {
class Argument;
class Graph;
class SymInt;
class TensorArgument;
class TensorMeta;
}  // namespace torch::_export

namespace tenon::pt2 {

Argument convert_argument(const torch::_export::Argument& argument);
std::vector<Argument> convert_arguments(const std::vector<torch::_export::Argument>& arguments);
Argument reference(const torch::_export::TensorArgument& tensor);
Dimension convert_size(const torch::_export::SymInt& size);
TensorMeta convert_meta(const torch::_export::TensorMeta& meta);
// In pt2_schema.cpp: a graph is an argument of the operators that run it.
Graph convert_graph(const torch::_export::Graph& graph);

}  // namespace tenon::pt2
