#include "pt2/pt2_schema.h"

#include <c10/util/Exception.h>

#include <cmath>
#include <stdexcept>
#include <unordered_map>

#include <torch/csrc/utils/generated_serialization_types.h>

#include "base/error.h"
#include "pt2/json_text.h"
#include "pt2/pt2_arguments.h"
#include "pt2/python_frames.h"

namespace tenon::pt2 {
namespace {

namespace schema = torch::_export;

constexpr std::int64_t kSchemaMajor = 8;
// Each nested graph takes about eight levels.
constexpr std::size_t kDeepestJson = 256;
// Several times what the largest models have: they bound what a hostile file can cost.
constexpr std::size_t kMostJsonValues = std::size_t{1} << 25;
constexpr std::size_t kLongestString = std::size_t{1} << 24;
constexpr std::size_t kMostNodes = std::size_t{1} << 20;

Node convert(const schema::Node& node) {
  // Written where the exporter lost the stack.
  constexpr std::string_view kNoStack = "_empty_nn_module_stack_from_metadata_hook";
  Node result;
  result.name = node.get_name().value_or("");
  result.target = node.get_target();
  result.inputs.reserve(node.get_inputs().size());
  for (const schema::NamedArgument& input : node.get_inputs()) {
    result.inputs.push_back({input.get_name(), convert_argument(input.get_arg())});
  }
  result.outputs = convert_arguments(node.get_outputs());
  const auto stack = node.get_metadata().find("nn_module_stack");
  if (stack != node.get_metadata().end() && !stack->second.starts_with(kNoStack)) {
    result.module_stack = stack->second;
  }
  const auto trace = node.get_metadata().find("stack_trace");
  if (trace != node.get_metadata().end()) {
    result.in_function = runs_in_function(trace->second, result.module_stack);
  }
  return result;
}

InputSpec convert_user_input(const schema::Argument& argument) {
  const Argument value = convert_argument(argument);
  if (const Reference* input = std::get_if<Reference>(&value.value)) {
    if (!input->is_number) return {InputKind::kUser, input->name, ""};
    if (argument.tag() == schema::Argument::Tag::AS_SYM_INT) {
      return {InputKind::kNumber, input->name, ""};
    }
    return {InputKind::kUnsupported, input->name, "a fraction or a flag that is not fixed"};
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
      return {OutputKind::kUser, convert_argument(spec.get_user_output().get_arg()), ""};
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
  result.graph = convert_graph(module.get_graph());
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
  result.guards = program.get_guards_code();
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

void check_extent(std::string_view json, const std::string& location, const std::string& entry) {
  const JsonExtent extent = json_extent(json);
  if (extent.depth > kDeepestJson) {
    invalid(location, entry, "it nests deeper than " + std::to_string(kDeepestJson) + " levels");
  }
  if (extent.values > kMostJsonValues) {
    invalid(location, entry,
            "it has " + std::to_string(extent.values) + " values, more than the " +
                std::to_string(kMostJsonValues) + " that are read");
  }
  if (extent.longest_string > kLongestString) {
    invalid(location, entry,
            "a text in it has " + std::to_string(extent.longest_string) + " bytes, more than the " +
                std::to_string(kLongestString) + " that are read");
  }
}

// The generated reader takes any number for a whole one, and cuts off what does not fit.
void check_whole_number(const nlohmann::json& value) {
  const bool fits = !value.is_number_unsigned() ||
                    value.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX);
  if (value.is_number_float() || !fits) {
    throw std::out_of_range(value.dump() + " is no whole number of 64 bits");
  }
}

void check_whole_numbers(const nlohmann::json& document) {
  for (const auto& [key, value] : document.items()) {
    if (document.is_object() && key == "as_int") {
      check_whole_number(value);
    } else if (document.is_object() && key == "as_ints" && value.is_array()) {
      for (const nlohmann::json& item : value) check_whole_number(item);
    } else if (value.is_structured()) {
      check_whole_numbers(value);
    }
  }
}

// Everything that the generated reader and the JSON library throw becomes the one Error.
template <typename Action>
auto decode(std::string_view json, const std::string& location, const std::string& entry,
            Action action) {
  check_extent(json, location, entry);
  try {
    const nlohmann::json document = nlohmann::json::parse(json);
    check_whole_numbers(document);
    return action(document);
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

Graph convert_graph(const schema::Graph& graph) {
  if (graph.get_nodes().size() > kMostNodes) {
    throw std::length_error("a graph has " + std::to_string(graph.get_nodes().size()) +
                            " nodes, more than the " + std::to_string(kMostNodes) +
                            " that are read");
  }
  Graph result;
  result.inputs = convert_arguments(graph.get_inputs());
  result.outputs = convert_arguments(graph.get_outputs());
  result.nodes.reserve(graph.get_nodes().size());
  for (const schema::Node& node : graph.get_nodes()) {
    result.nodes.push_back(convert(node));
  }
  for (const auto& [name, meta] : graph.get_tensor_values()) {
    const TensorMeta seen = convert_meta(meta);
    result.tensors.emplace(name, RecordedTensor{seen.dtype, seen.sizes.size()});
  }
  for (const Argument& input : result.inputs) {
    const Reference* reference = std::get_if<Reference>(&input.value);
    if (reference == nullptr) continue;
    const std::string& name = reference->name;
    const auto meta = graph.get_tensor_values().find(name);
    if (meta != graph.get_tensor_values().end()) {
      result.input_metas.emplace(name, convert_meta(meta->second));
    }
    const auto number = graph.get_sym_int_values().find(name);
    if (number != graph.get_sym_int_values().end()) {
      result.input_numbers.emplace(name, convert_size(number->second));
    }
  }
  return result;
}

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
      if (payload.get_tensor_meta()) added.meta = convert_meta(*payload.get_tensor_meta());
    }
    return result;
  });
}

}  // namespace tenon::pt2
