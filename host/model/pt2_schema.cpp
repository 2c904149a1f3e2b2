#include "model/pt2_schema.h"

#include <ATen/core/List.h>
#include <c10/util/Exception.h>

#include <cmath>
#include <stdexcept>
#include <unordered_map>

#include <torch/csrc/utils/generated_serialization_types.h>

#include "base/error.h"
#include "model/json_text.h"
#include "model/pt2_numbers.h"

namespace tenon::pt2 {
namespace {

namespace schema = torch::_export;

constexpr std::int64_t kSchemaMajor = 8;
// Each nested graph takes about eight levels.
constexpr std::size_t kDeepestJson = 256;

template <typename Enum>
constexpr std::int64_t number(Enum value) {
  return static_cast<std::int64_t>(value);
}

c10::Device convert(const schema::Device& device) {
  const std::string index = device.get_index() ? ":" + std::to_string(*device.get_index()) : "";
  return c10::Device(device.get_type() + index);
}

Graph convert(const schema::Graph& graph);

Argument reference(const schema::TensorArgument& tensor) {
  return {Reference{tensor.get_name(), false}};
}

Argument optional_reference(const schema::OptionalTensorArgument& tensor) {
  if (tensor.tag() == schema::OptionalTensorArgument::Tag::AS_TENSOR) {
    return reference(tensor.get_as_tensor());
  }
  return {};
}

// A size or flag that the graph computes, or one that the export fixed.
Argument symbolic(const schema::SymIntArgument& number) {
  if (number.tag() == schema::SymIntArgument::Tag::AS_INT)
    return {c10::IValue(number.get_as_int())};
  return {Reference{number.get_as_name(), true}};
}

Argument symbolic(const schema::SymFloatArgument& number) {
  if (number.tag() == schema::SymFloatArgument::Tag::AS_FLOAT) {
    return {c10::IValue(number.get_as_float().get())};
  }
  return {Reference{number.get_as_name(), true}};
}

Argument symbolic(const schema::SymBoolArgument& flag) {
  if (flag.tag() == schema::SymBoolArgument::Tag::AS_BOOL) return {c10::IValue(flag.get_as_bool())};
  return {Reference{flag.get_as_name(), true}};
}

template <typename Items, typename Convert>
Argument list(const Items& items, Convert convert_item) {
  Argument::List result;
  for (const auto& item : items) result.items.push_back(convert_item(item));
  return {std::move(result)};
}

template <typename Element, typename Items>
c10::IValue constants(const Items& items) {
  c10::List<Element> result;
  result.reserve(items.size());
  for (const auto& item : items) {
    if constexpr (std::is_same_v<std::decay_t<decltype(item)>, schema::F64>) {
      result.push_back(item.get());
    } else {
      result.push_back(item);
    }
  }
  return result;
}

template <typename Element, typename Items>
c10::IValue constant_lists(const Items& items) {
  c10::List<c10::List<Element>> result;
  for (const auto& item : items)
    result.push_back(constants<Element>(item).template to<c10::List<Element>>());
  return result;
}

// Computed numbers stay references; a list without any is one constant.
template <typename Element, typename Items>
Argument symbolic_list(const Items& items) {
  Argument result = list(items, [](const auto& item) { return symbolic(item); });
  c10::List<Element> fixed;
  for (const Argument& item : std::get<Argument::List>(result.value).items) {
    if (!std::holds_alternative<c10::IValue>(item.value)) return result;
    fixed.push_back(std::get<c10::IValue>(item.value).to<Element>());
  }
  return {c10::IValue(fixed)};
}

Argument convert(const schema::Argument& argument) {
  using Tag = schema::Argument::Tag;
  switch (argument.tag()) {
    case Tag::AS_NONE:
      argument.get_as_none();
      return {};  // throws if the kind is unknown
    case Tag::AS_TENSOR:
      return reference(argument.get_as_tensor());
    case Tag::AS_TENSORS:
      return list(argument.get_as_tensors(), reference);
    case Tag::AS_INT:
      return {c10::IValue(argument.get_as_int())};
    case Tag::AS_INTS:
      return {constants<std::int64_t>(argument.get_as_ints())};
    case Tag::AS_FLOAT:
      return {c10::IValue(argument.get_as_float().get())};
    case Tag::AS_FLOATS:
      return {constants<double>(argument.get_as_floats())};
    case Tag::AS_STRING:
      return {c10::IValue(argument.get_as_string())};
    case Tag::AS_STRINGS:
      return {constants<std::string>(argument.get_as_strings())};
    case Tag::AS_BOOL:
      return {c10::IValue(argument.get_as_bool())};
    case Tag::AS_BOOLS:
      return {constants<bool>(argument.get_as_bools())};
    case Tag::AS_SYM_INT:
      return symbolic(argument.get_as_sym_int());
    case Tag::AS_SYM_INTS:
      return symbolic_list<std::int64_t>(argument.get_as_sym_ints());
    case Tag::AS_SYM_FLOAT:
      return symbolic(argument.get_as_sym_float());
    case Tag::AS_SYM_FLOATS:
      return symbolic_list<double>(argument.get_as_sym_floats());
    case Tag::AS_SYM_BOOL:
      return symbolic(argument.get_as_sym_bool());
    case Tag::AS_SYM_BOOLS:
      return symbolic_list<bool>(argument.get_as_sym_bools());
    case Tag::AS_SCALAR_TYPE:
      return {c10::IValue(number(scalar_type(number(argument.get_as_scalar_type()))))};
    case Tag::AS_MEMORY_FORMAT:
      return {c10::IValue(number(memory_format(number(argument.get_as_memory_format()))))};
    case Tag::AS_LAYOUT:
      return {c10::IValue(number(layout(number(argument.get_as_layout()))))};
    case Tag::AS_DEVICE:
      return {c10::IValue(convert(argument.get_as_device()))};
    case Tag::AS_GRAPH:
      return {std::make_shared<Graph>(convert(*argument.get_as_graph().get_graph()))};
    case Tag::AS_OPTIONAL_TENSOR:
      return optional_reference(argument.get_as_optional_tensor());
    case Tag::AS_OPTIONAL_TENSORS:
      return list(argument.get_as_optional_tensors(), optional_reference);
    case Tag::AS_COMPLEX: {
      const schema::ComplexValue& number = argument.get_as_complex();
      return {c10::IValue(c10::complex<double>(number.get_real().get(), number.get_imag().get()))};
    }
    case Tag::AS_NESTED_TENSORS:
      return list(argument.get_as_nested_tensors(),
                  [](const auto& tensors) { return list(tensors, reference); });
    case Tag::AS_INT_LISTS:
      return {constant_lists<std::int64_t>(argument.get_as_int_lists())};
    case Tag::AS_FLOAT_LISTS:
      return {constant_lists<double>(argument.get_as_float_lists())};
    case Tag::AS_CUSTOM_OBJ:
      return {Unsupported{"a custom object"}};
    case Tag::AS_OPERATOR:
      return {Unsupported{"an operator"}};
    case Tag::AS_STRING_TO_ARGUMENT:
      return {Unsupported{"a dictionary"}};
  }
  return {Unsupported{"of a kind that is not known"}};
}

std::vector<Argument> convert(const std::vector<schema::Argument>& arguments) {
  std::vector<Argument> result;
  result.reserve(arguments.size());
  for (const schema::Argument& argument : arguments) result.push_back(convert(argument));
  return result;
}

Dimension convert(const schema::SymInt& size) {
  if (size.tag() == schema::SymInt::Tag::AS_INT) return {size.get_as_int(), ""};
  return {-1, size.get_as_expr().get_expr_str()};
}

TensorMeta convert(const schema::TensorMeta& meta) {
  TensorMeta result;
  result.dtype = scalar_type(number(meta.get_dtype()));
  for (const schema::SymInt& size : meta.get_sizes()) result.sizes.push_back(convert(size));
  for (const schema::SymInt& stride : meta.get_strides()) result.strides.push_back(convert(stride));
  result.storage_offset = convert(meta.get_storage_offset());
  result.strided = meta.get_layout() == schema::Layout::Strided;
  return result;
}

Node convert(const schema::Node& node) {
  // Written where the exporter lost the stack.
  constexpr std::string_view kNoStack = "_empty_nn_module_stack_from_metadata_hook";
  Node result;
  result.name = node.get_name().value_or("");
  result.target = node.get_target();
  result.inputs.reserve(node.get_inputs().size());
  for (const schema::NamedArgument& input : node.get_inputs()) {
    result.inputs.push_back({input.get_name(), convert(input.get_arg())});
  }
  result.outputs = convert(node.get_outputs());
  const auto stack = node.get_metadata().find("nn_module_stack");
  if (stack != node.get_metadata().end() && !stack->second.starts_with(kNoStack)) {
    result.module_stack = stack->second;
  }
  return result;
}

Graph convert(const schema::Graph& graph) {
  Graph result;
  result.inputs = convert(graph.get_inputs());
  result.outputs = convert(graph.get_outputs());
  result.nodes.reserve(graph.get_nodes().size());
  for (const schema::Node& node : graph.get_nodes()) result.nodes.push_back(convert(node));
  for (const Argument& input : result.inputs) {
    const Reference* tensor = std::get_if<Reference>(&input.value);
    if (tensor == nullptr) continue;
    const auto meta = graph.get_tensor_values().find(tensor->name);
    if (meta != graph.get_tensor_values().end()) {
      result.input_metas.emplace(tensor->name, convert(meta->second));
    }
  }
  return result;
}

InputSpec convert_user_input(const schema::Argument& argument) {
  const Argument value = convert(argument);
  if (const Reference* input = std::get_if<Reference>(&value.value)) {
    if (!input->is_number) return {InputKind::kUser, input->name, ""};
    return {InputKind::kUnsupported, input->name, "a number that is not fixed"};
  }
  if (const Unsupported* input = std::get_if<Unsupported>(&value.value)) {
    return {InputKind::kUnsupported, "", input->kind};
  }
  return {InputKind::kFixed, "", ""};
}

InputSpec convert(const schema::InputSpec& spec) {
  using Tag = schema::InputSpec::Tag;
  switch (spec.tag()) {
    case Tag::USER_INPUT:
      return convert_user_input(spec.get_user_input().get_arg());
    case Tag::PARAMETER:
      return {InputKind::kParameter, spec.get_parameter().get_arg().get_name(),
              spec.get_parameter().get_parameter_name()};
    case Tag::BUFFER:
      return {InputKind::kBuffer, spec.get_buffer().get_arg().get_name(),
              spec.get_buffer().get_buffer_name(), spec.get_buffer().get_persistent()};
    case Tag::TENSOR_CONSTANT:
      return {InputKind::kConstant, spec.get_tensor_constant().get_arg().get_name(),
              spec.get_tensor_constant().get_tensor_constant_name(), false};
    case Tag::CONSTANT_INPUT:
      return {InputKind::kFixed, spec.get_constant_input().get_name(), ""};
    case Tag::CUSTOM_OBJ:
      return {InputKind::kUnsupported, spec.get_custom_obj().get_arg().get_name(),
              "a custom object"};
    case Tag::TOKEN:
      return {InputKind::kUnsupported, spec.get_token().get_arg().get_name(), "an effect token"};
  }
  return {InputKind::kUnsupported, "", "of a kind that is not known"};
}

OutputSpec convert(const schema::OutputSpec& spec) {
  using Tag = schema::OutputSpec::Tag;
  switch (spec.tag()) {
    case Tag::USER_OUTPUT:
      return {OutputKind::kUser, convert(spec.get_user_output().get_arg()), ""};
    case Tag::LOSS_OUTPUT:
      return {OutputKind::kUser, reference(spec.get_loss_output().get_arg()), ""};
    case Tag::BUFFER_MUTATION:
      return {OutputKind::kMutation, reference(spec.get_buffer_mutation().get_arg()),
              spec.get_buffer_mutation().get_buffer_name()};
    case Tag::PARAMETER_MUTATION:
      return {OutputKind::kMutation, reference(spec.get_parameter_mutation().get_arg()),
              spec.get_parameter_mutation().get_parameter_name()};
    case Tag::USER_INPUT_MUTATION:
      return {OutputKind::kMutation, reference(spec.get_user_input_mutation().get_arg()),
              spec.get_user_input_mutation().get_user_input_name()};
    case Tag::GRADIENT_TO_PARAMETER:
    case Tag::GRADIENT_TO_USER_INPUT:
      return {OutputKind::kUnsupported, {}, "a gradient"};
    case Tag::TOKEN:
      return {OutputKind::kUnsupported, {}, "an effect token"};
  }
  return {OutputKind::kUnsupported, {}, "of a kind that is not known"};
}

Program convert(const schema::ExportedProgram& program) {
  const schema::GraphModule& module = program.get_graph_module();
  Program result;
  result.graph = convert(module.get_graph());
  for (const auto& spec : module.get_signature().get_input_specs()) {
    result.inputs.push_back(convert(spec));
  }
  for (const auto& spec : module.get_signature().get_output_specs()) {
    result.outputs.push_back(convert(spec));
  }
  for (const schema::ModuleCallEntry& entry : module.get_module_call_graph()) {
    result.module_paths.push_back(entry.get_fqn());
    if (entry.get_fqn().empty() && entry.get_signature()) {
      result.argument_names =
          entry.get_signature()->get_forward_arg_names().value_or(std::vector<std::string>());
      result.argument_tree = entry.get_signature()->get_in_spec();
    }
  }
  for (const auto& [symbol, range] : program.get_range_constraints()) {
    result.symbols.emplace(symbol, Bounds{range.get_min_val(), range.get_max_val()});
  }
  return result;
}

[[noreturn]] void invalid(const std::string& location, const std::string& entry,
                          const std::string& what) {
  throw Error{
      {.stage = Stage::kModel,
       .message = "`" + entry + "` does not follow the export schema: " + what,
       .hint = "The file is damaged, or was written by a newer torch: export the model again.",
       .location = location}};
}

// Everything that the generated reader and the JSON library throw becomes the one Error.
template <typename Action>
auto decode(std::string_view json, const std::string& location, const std::string& entry,
            Action action) {
  if (json_depth(json) > kDeepestJson) invalid(location, entry, "it nests too deeply");
  try {
    return action(nlohmann::json::parse(json));
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    invalid(location, entry, error.what_without_backtrace());
  } catch (const std::bad_variant_access&) {
    invalid(location, entry, "a value is of a kind that is not known");
  } catch (const std::exception& error) {
    invalid(location, entry, error.what());
  }
}

void check_version(const schema::SchemaVersion& version, const std::string& location) {
  if (version.get_major() == kSchemaMajor) return;
  throw Error{{.stage = Stage::kModel,
               .message = "the exported program has schema version " +
                          std::to_string(version.get_major()) + "." +
                          std::to_string(version.get_minor()) + "; this program reads version " +
                          std::to_string(kSchemaMajor),
               .hint = "Export the model again with torch 2.13.",
               .location = location}};
}

}  // namespace

Program parse_program(std::string_view json, const std::string& location,
                      const std::string& entry) {
  return decode(json, location, entry, [&](const nlohmann::json& document) {
    check_version(document.at("schema_version").get<schema::SchemaVersion>(), location);
    return convert(document.get<schema::ExportedProgram>());
  });
}

std::map<std::string, Payload> parse_payloads(std::string_view json, const std::string& location,
                                              const std::string& entry) {
  return decode(json, location, entry, [](const nlohmann::json& document) {
    std::map<std::string, Payload> result;
    const auto config =
        document.at("config").get<std::unordered_map<std::string, schema::PayloadMeta>>();
    for (const auto& [name, payload] : config) {
      Payload& added = result[name];
      added.entry = payload.get_path_name();
      added.is_parameter = payload.get_is_param();
      added.is_pickled = payload.get_use_pickle();
      if (payload.get_tensor_meta()) added.meta = convert(*payload.get_tensor_meta());
    }
    return result;
  });
}

}  // namespace tenon::pt2
