#pragma once

#include <ATen/core/ivalue.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

// The JSON documents of an exported program, decoded: names still unresolved, numbers already in
// c10's numbering. LibTorch's generated schema header costs 13 seconds to compile, so only this
// file's source knows it.
namespace tenon::pt2 {

struct Graph;

// The name of a tensor, or of a number computed in the graph.
struct Reference {
  std::string name;
  bool is_number = false;
};

// A kind of argument that cannot be represented: "custom object".
struct Unsupported {
  std::string kind;
};

struct Argument {
  struct None {};
  struct List {
    std::vector<Argument> items;
  };
  struct Dictionary {
    std::vector<std::pair<std::string, Argument>> items;
  };
  std::variant<None, Reference, c10::IValue, List, Dictionary, std::shared_ptr<Graph>, Unsupported>
      value;
};

struct NamedArgument {
  std::string name;
  Argument value;
};

struct Node {
  std::string name;    // "" if the file gives none
  std::string target;  // "torch.ops.aten.linear.default"
  std::vector<NamedArgument> inputs;
  std::vector<Argument> outputs;
  std::string module_stack;  // its nn_module_stack, undivided; "" if hoisted
  bool in_function = false;  // made in a torch.autograd.Function
};

// A size: a number, or an expression of symbols as sympy prints it.
struct Dimension {
  std::int64_t size = -1;
  std::string expression;  // "" for a number
};

struct TensorMeta {
  at::ScalarType dtype = at::kFloat;
  std::vector<Dimension> sizes;
  std::vector<Dimension> strides;
  Dimension storage_offset;
  bool strided = true;  // neither sparse nor blocked
};

// What the export saw of a tensor that the graph makes.
struct RecordedTensor {
  at::ScalarType dtype = at::kFloat;
  std::size_t dimensions = 0;
};

struct Graph {
  std::vector<Argument> inputs;
  std::vector<Argument> outputs;
  std::vector<Node> nodes;
  std::map<std::string, RecordedTensor, std::less<>> tensors;  // by the names of the values
  std::map<std::string, TensorMeta> input_metas;
  std::map<std::string, Dimension> input_numbers;
};

enum class InputKind { kParameter, kBuffer, kConstant, kUser, kNumber, kFixed, kUnsupported };
struct InputSpec {
  InputKind kind = InputKind::kUnsupported;
  std::string placeholder;
  std::string target;      // parameter, buffer, constant: its full name; unsupported: what it is
  bool persistent = true;  // buffers
};

enum class OutputKind { kUser, kMutation, kUnsupported };
struct OutputSpec {
  OutputKind kind = OutputKind::kUnsupported;
  Argument value;      // a user output, or the new value of what is mutated
  std::string target;  // mutation: parameter, buffer or input; unsupported: what it is
};

struct Bounds {
  std::optional<std::int64_t> minimum;
  std::optional<std::int64_t> maximum;
};

struct Program {
  Graph graph;
  std::vector<InputSpec> inputs;
  std::vector<OutputSpec> outputs;
  std::vector<std::string> module_paths;    // module_call_graph, in its order
  std::vector<std::string> argument_names;  // forward's own, positional ones first
  std::string argument_tree;                // how they flatten to inputs, as _pytree writes it
  std::map<std::string, Bounds> symbols;
  std::vector<std::string> guards;  // Python's expressions over the inputs
};

// One tensor in the archive, as the weights or constants config describes it.
struct Payload {
  std::string entry;  // "weight_0"
  bool is_parameter = false;
  bool is_pickled = false;
  std::optional<TensorMeta> meta;
};

// Both throw Error{Stage::kModel}; `location` is the file, `entry` the document's name in it.
Program parse_program(std::string_view json, const std::string& location, const std::string& entry);
std::map<std::string, Payload> parse_payloads(std::string_view json, const std::string& location,
                                              const std::string& entry);

}  // namespace tenon::pt2
