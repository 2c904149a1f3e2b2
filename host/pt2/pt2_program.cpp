#include "pt2/pt2_program.h"

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "pt2/dtype_change.h"
#include "pt2/problem_list.h"
#include "pt2/pt2_archive.h"
#include "pt2/pt2_graph.h"
#include "pt2/pt2_inputs.h"
#include "pt2/pt2_modules.h"
#include "pt2/pt2_schema.h"
#include "pt2/pt2_verify.h"
#include "pt2/pt2_weights.h"

namespace tenon {
namespace {

constexpr std::string_view kModels = "models/";
constexpr std::string_view kJson = ".json";

[[noreturn]] void refuse(const Pt2Archive& archive, std::string message, std::string hint) {
  throw Error{{.stage = Stage::kModel,
               .message = std::move(message),
               .hint = std::move(hint),
               .location = archive.mapping()->path().string()}};
}

const Pt2Entry& find_program(const Pt2Archive& archive) {
  const Pt2Entry* program = nullptr;
  for (const Pt2Entry& entry : archive.entries()) {
    if (!entry.name.starts_with(kModels) || !entry.name.ends_with(kJson)) continue;
    if (program != nullptr) {
      refuse(archive,
             "the archive holds several models (`" + program->name + "`, `" + entry.name + "`)",
             "Save one model in each file.");
    }
    program = &entry;
  }
  if (program == nullptr) {
    refuse(archive, "the archive holds no models/*.json", "Export the model again.");
  }
  if (program->name != "models/model.json") {
    refuse(archive, "the archive's model is `" + program->name + "`, not `models/model.json`",
           "Write the file with torch.export.save.");
  }
  return *program;
}

void check_byte_order(const Pt2Archive& archive) {
  const Pt2Entry* order = archive.find("byteorder");
  if (order == nullptr || archive.text(*order) == "little") return;
  refuse(archive,
         "the weights are stored in the byte order `" + std::string(archive.text(*order)) +
             "`; only `little` is supported",
         "Export the model on a little-endian machine.");
}

void find_functions(const pt2::Graph& graph, std::set<std::string>& operators) {
  for (const pt2::Node& node : graph.nodes) {
    if (node.in_function) operators.insert(node.name + " (" + node.target + ")");
    for (const pt2::NamedArgument& input : node.inputs) {
      const auto* nested = std::get_if<std::shared_ptr<pt2::Graph>>(&input.value.value);
      if (nested != nullptr) find_functions(**nested, operators);
    }
  }
}

// Nothing in the graph is wrong, but its gradient is that of other operators than the model's.
void tell_lost_backwards(const pt2::Graph& graph) {
  std::set<std::string> operators;
  find_functions(graph, operators);
  if (operators.empty()) return;
  log::warning(
      "the backward of a torch.autograd.Function is lost by the export: gradients are "
      "those of the operators in its forward, such as node `" +
      *operators.begin() + "`" +
      (operators.size() > 1 ? " and " + std::to_string(operators.size() - 1) + " more" : ""));
}

// Builds the top-level graph: placeholders, nodes, outputs.
class ProgramBuilder {
 public:
  ProgramBuilder(const pt2::Program& program, const pt2::Weights& weights,
                 const pt2::ModuleMap& modules, ProblemList& problems)
      : program_(program),
        weights_(weights),
        problems_(problems),
        builder_(modules, problems, program.graph) {}

  Graph build() {
    if (program_.graph.inputs.size() != program_.inputs.size() ||
        program_.graph.outputs.size() != program_.outputs.size()) {
      problems_.add("the graph and its signature differ in their inputs or outputs");
    }
    for (std::size_t index = 0; index < program_.inputs.size(); ++index) add_input(index);
    builder_.add_nodes(program_.graph);
    for (const pt2::OutputSpec& output : program_.outputs) add_output(output);
    return std::move(builder_.graph());
  }
  const std::vector<std::optional<pt2::RecordedTensor>>& recorded() const {
    return builder_.recorded();
  }

 private:
  void add_input(std::size_t index) {
    const pt2::InputSpec& input = program_.inputs[index];
    switch (input.kind) {
      case pt2::InputKind::kParameter:
        return add_tensor(input, ValueKind::kParameter, weights_.tensor_of_input[index]);
      case pt2::InputKind::kBuffer:
        return add_tensor(input, ValueKind::kBuffer, weights_.tensor_of_input[index]);
      case pt2::InputKind::kConstant:
        return add_tensor(input, ValueKind::kConstant, weights_.tensor_of_input[index]);
      case pt2::InputKind::kUser:
      case pt2::InputKind::kNumber:
        builder_.graph().inputs.push_back(
            builder_.define(input.placeholder, ValueKind::kInput,
                            /*is_number=*/input.kind == pt2::InputKind::kNumber));
        return;
      case pt2::InputKind::kFixed:  // the export wrote its value into the nodes
        return;
      case pt2::InputKind::kUnsupported:
        problems_.add("input `" + input.placeholder + "` is " + input.target +
                      ", which is not supported");
    }
  }

  void add_tensor(const pt2::InputSpec& input, ValueKind kind, std::int32_t tensor) {
    value_of_target_.emplace(input.target, builder_.define(input.placeholder, kind, false, tensor));
  }

  void add_output(const pt2::OutputSpec& output) {
    const std::string where = "an output of the program";
    if (output.kind == pt2::OutputKind::kUnsupported) {
      problems_.add(where + " is " + output.target + ", which is not supported");
    } else if (output.kind == pt2::OutputKind::kUser) {
      builder_.graph().outputs.push_back(builder_.argument(output.value, where));
    } else {
      add_mutation(output);
    }
  }

  // Parameters and buffers are named in full, user inputs by their placeholder.
  void add_mutation(const pt2::OutputSpec& output) {
    const std::string where = "the new value of `" + output.target + "`";
    const auto held = value_of_target_.find(output.target);
    const ValueId target =
        held != value_of_target_.end() ? held->second : builder_.find(output.target, where);
    const ValueId value = builder_.find(std::get<pt2::Reference>(output.value.value).name, where);
    builder_.graph().mutations.emplace_back(target, value);
  }

  const pt2::Program& program_;
  const pt2::Weights& weights_;
  ProblemList& problems_;
  pt2::GraphBuilder builder_;
  std::unordered_map<std::string, ValueId> value_of_target_;
};

}  // namespace

ModelData read_pt2_program(const std::filesystem::path& path, bool verify,
                           std::optional<at::ScalarType> dtype) {
  const Pt2Archive archive(path);
  if (verify) pt2::verify_archive(archive);
  check_byte_order(archive);
  const Pt2Entry& entry = find_program(archive);
  const pt2::Program program = pt2::parse_program(archive.text(entry), path.string(), entry.name);
  pt2::Weights weights = pt2::read_weights(archive, program.inputs);
  const pt2::ModuleMap modules(program, weights.tensors, path.string());

  ProblemList problems(path.string());
  ModelData model;
  ProgramBuilder builder(program, weights, modules, problems);
  model.graph = builder.build();
  model.inputs = pt2::describe_inputs(program, problems);
  model.guards = pt2::read_guards(program);
  tell_lost_backwards(program.graph);
  problems.throw_if_any("this exported program cannot be run here",
                        "Change the model's code so that the export does without them.");
  model.tree = modules.tree();
  model.tensors = std::move(weights.tensors);
  model.source = path.string();
  if (dtype) change_dtype(model, builder.recorded(), *dtype);
  return model;
}

}  // namespace tenon
