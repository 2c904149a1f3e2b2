#pragma once

#include <ATen/core/Generator.h>

#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace tenon {

// What torch.nn starts weights with: kaiming_uniform_(a = sqrt(5)).
inline constexpr double kSqrt5 = 2.23606797749978969641;

// Adds the operators of one declared layer to a model, whose running value is the layer's input and
// then its output.
class LayerBuilder {
 public:
  LayerBuilder(ModelData& model, std::string path, std::vector<ModuleId> module_stack,
               at::ScalarType dtype, const at::Generator& generator, ValueId input);

  ValueId output() const { return running_; }

  // A parameter of the layer, started by a name of tenon_parameter with its two numbers.
  Argument parameter(const std::string& name, std::vector<std::int64_t> shape,
                     const std::string& init, double init_a = 0, double init_b = 0);
  Argument buffer(const std::string& name, at::Tensor tensor);
  at::Tensor tensor(const Argument& parameter) const;
  Argument running() const { return {running_}; }

  // Calls an operator "aten::linear" or "aten::flatten.using_ints"; its result becomes the running
  // value.
  void apply(const std::string& op, std::vector<NamedArgument> arguments);
  // The same for the first of `count` results.
  void apply_first_of(const std::string& op, std::size_t count,
                      std::vector<NamedArgument> arguments);
  // An operator whose result is not the running value; a number if `is_number`.
  Argument call(const std::string& op, std::vector<NamedArgument> arguments,
                bool is_number = false);

 private:
  ValueId add_value(std::string name, ValueKind kind, std::int32_t tensor, bool is_number);
  Argument add_tensor(const std::string& name, ValueKind kind, at::Tensor tensor);
  void add_node(const std::string& op, std::vector<NamedArgument> arguments,
                std::vector<Result> results);

  ModelData& model_;
  std::string path_;
  std::vector<ModuleId> module_stack_;
  at::ScalarType dtype_;
  at::Generator generator_;
  ValueId running_;
};

// An argument that is a plain value.
inline NamedArgument constant(std::string name, c10::IValue value) {
  return {std::move(name), {std::move(value)}};
}

}  // namespace tenon
