#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

// The operations that formulas over sizes are made of.
namespace tenon {

struct SizeOperation {
  std::string_view name;    // as a function: "FloorDiv"; "" if it is none
  std::string_view symbol;  // infix, or in front of a single operand; "" if it is written as a call
  std::size_t least;        // operands
  std::size_t most;
  double (*compute)(const std::vector<double>& operands);  // NaN where there is no result
};

// Indices into the table; nullopt if there is none.
std::optional<std::size_t> find_size_function(std::string_view name, std::size_t operands);
std::optional<std::size_t> find_size_operator(std::string_view symbol, std::size_t operands);
const SizeOperation& size_operation(std::size_t index);

}  // namespace tenon
