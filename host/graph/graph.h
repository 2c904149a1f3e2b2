#pragma once

#include <ATen/core/ivalue.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "graph/size_expression.h"

// The one representation of a model: operators in order, values between them, and the tree of named
// modules they ran in. Plain data; built by pt2_program and declared_model, executed by
// interpreter.
namespace tenon {

using ValueId = std::int32_t;    // index into Graph::values
using ModuleId = std::int32_t;   // index into ModuleTree::modules; 0 is the root
using ContextId = std::int32_t;  // index into Graph::contexts; 0 is the caller's
constexpr ModuleId kNoModule = -1;

struct Graph;

// An operator argument. A constant holds what the schema takes (int, double, bool, string, list,
// device; dtypes, layouts and memory formats as c10's numbers).
struct Argument {
  struct None {};
  struct List {
    std::vector<Argument> items;
  };
  std::variant<None, ValueId, c10::IValue, List, std::shared_ptr<Graph>> value;
};

struct NamedArgument {
  std::string name;  // the schema's argument name; "" for positional arguments of Python operators
  Argument value;
};

// What a node's result is bound to: one value, a list unpacked into values (kNoValue where unused).
constexpr ValueId kNoValue = -1;
struct Result {
  bool is_list = false;
  std::vector<ValueId> values;  // exactly one unless is_list
};

// What the model's code switched around some of its operators (`with torch.no_grad():`): one
// setting on top of the context that it stands in.
struct GradientSetting {
  bool enabled = false;
};
struct AutocastSetting {
  c10::DeviceType device = c10::kCPU;
  std::optional<at::ScalarType> dtype;  // none: the device's default
  bool enabled = true;
  bool cache = true;
};
using ContextSetting = std::variant<GradientSetting, AutocastSetting>;
struct Context {
  ContextId outer = 0;
  ContextSetting setting;
};

struct Node {
  // "aten::linear" for operators of the dispatcher; "_operator.add", "math.ceil", "torch.sym_max"
  // for arithmetic on sizes; "higher_order::cond" for operators on nested graphs.
  std::string target;
  std::string overload;  // "" or "Tensor"; only for dispatcher operators
  std::vector<NamedArgument> arguments;
  std::vector<Result> results;
  // The modules this node ran in, outermost (root) first; empty where the exporter hoisted it.
  std::vector<ModuleId> module_stack;
  // Which call of the innermost module it belongs to: a module called twice has calls 0 and 1.
  std::int32_t call_index = 0;
  ContextId context = 0;
  // Of captured models: whether the operator had the same flags in training as in evaluation, so
  // that they are the model's own and not the mode's.
  bool ignores_mode = false;
  // Recorded in a torch.autograd.Function, whose own backward the export lost.
  bool in_function = false;
};

enum class ValueKind { kParameter, kBuffer, kConstant, kInput, kIntermediate };

struct Value {
  std::string name;  // graph name ("linear_3", "p_seq_0_weight")
  ValueKind kind = ValueKind::kIntermediate;
  std::int32_t tensor = -1;  // parameter, buffer, constant: index into ModelData::tensors
  bool is_number = false;    // a size or other scalar, not a tensor
};

struct Graph {
  std::vector<Value> values;
  std::vector<Node> nodes;
  // Top level: user inputs in the program's order (parameters are not here). Nested graphs: all
  // placeholders in order, each value local to the nested graph.
  std::vector<ValueId> inputs;
  std::vector<Argument> outputs;  // flattened user outputs: values or constants
  // (buffer, parameter or input value, its new value): written back after a forward.
  std::vector<std::pair<ValueId, ValueId>> mutations;
  // The first stands for the caller's own and sets nothing.
  std::vector<Context> contexts{1};
};

// A tensor the model owns. Tied tensors share one entry: `name` is the first, `aliases` the others.
struct ModelTensor {
  std::string name;  // state_dict name: "seq.0.weight"
  std::vector<std::string> aliases;
  ValueKind kind = ValueKind::kParameter;  // parameter, buffer or constant
  bool persistent = true;                  // in the state dict
  at::Tensor tensor;
  // CRC-32 of the contiguous bytes if the source file records it, so that fingerprinting a model
  // reads nothing; -1 if unknown.
  std::int64_t crc32 = -1;

  // Its name inside the module at `path` ("weight"), by its own name or an alias; nullopt if the
  // module and its descendants do not own it.
  std::optional<std::string> name_in(std::string_view path) const;
};

struct Module {
  std::string path;  // "" for the root
  std::string type;  // public: "torch.nn.Linear"; "" where no operator shows it
  bool runs = false;
};

// All named modules in model order, the root first. Children are found by path.
struct ModuleTree {
  std::vector<Module> modules;
  ModuleId find(std::string_view path) const;  // kNoModule if there is none
  const Module& at(ModuleId id) const { return modules[static_cast<std::size_t>(id)]; }
  Module& at(ModuleId id) { return modules[static_cast<std::size_t>(id)]; }
};

// One dimension of an input as the exporter saw it.
struct DimensionSpec {
  std::int64_t fixed = -1;    // its size if the export fixed it, else -1
  std::string symbol;         // dimensions with one symbol must agree; "" if derived
  std::int64_t minimum = 0;   // of a dynamic dimension
  std::int64_t maximum = -1;  // -1: unbounded
  std::shared_ptr<const SizeExpression> derived;  // its size, from other dimensions' symbols
};

struct InputSpec {
  std::string name;           // "x": the placeholder's name
  std::string argument_name;  // "X": forward's own, "" if not known
  at::ScalarType dtype = at::kFloat;
  bool checked = false;  // dimensions and dtype are known (exported programs)
  std::vector<DimensionSpec> dimensions;
};

// Everything a reader of a model file produces.
struct ModelData {
  Graph graph;
  ModuleTree tree;
  std::vector<ModelTensor> tensors;
  std::vector<InputSpec> inputs;       // one for each Graph::inputs
  std::vector<SizeExpression> guards;  // what the export took for granted of the inputs' sizes
  std::string source;                  // file or config, for messages
  c10::Device device = c10::kCPU;      // where the tensors lie and the operators run
};

// "torch.nn.modules.linear.Linear" -> "torch.nn.Linear"; other classes unchanged.
std::string public_type_name(std::string_view type);

}  // namespace tenon
