#include "capture/recorder.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function.h>

#include <array>
#include <string_view>

#include "base/error.h"
#include "base/suggest.h"
#include "graph/contexts.h"

namespace tenon {
namespace {

constexpr std::array<std::string_view, 8> kReservingOperators{"aten::empty",
                                                              "aten::empty_like",
                                                              "aten::empty_strided",
                                                              "aten::empty_quantized",
                                                              "aten::new_empty",
                                                              "aten::empty_permuted",
                                                              "aten::new_empty_strided",
                                                              "aten::_empty_affine_quantized"};

bool reserves_memory(const std::string& target) {
  return std::find(kReservingOperators.begin(), kReservingOperators.end(), target) !=
         kReservingOperators.end();
}

// "CppNode<MySquare>" is how autograd calls the user's MySquare.
std::string function_name(const at::Tensor& tensor) {
  const auto made_by = tensor.grad_fn();
  if (made_by == nullptr) return "something";
  std::string name = made_by->name();
  const std::size_t open = name.find('<');
  if (open != std::string::npos && name.ends_with('>')) {
    name = name.substr(open + 1, name.size() - open - 2);
  }
  constexpr std::string_view kUnnamed = "(anonymous namespace)::";
  const std::size_t unnamed = name.find(kUnnamed);
  return unnamed == std::string::npos ? name : name.substr(unnamed + kUnnamed.size());
}

}  // namespace

std::string operator_text(const Node& node) {
  return node.overload.empty() ? node.target : node.target + "." + node.overload;
}

Recorder::Recorder(Recording& recording, const std::vector<ModelTensor>& tensors,
                   const std::vector<at::Tensor>& inputs)
    : recording_(recording), values_(recording, tensors) {
  for (const at::Tensor& input : inputs) {
    const std::string name =
        inputs.size() == 1 ? "input" : "input_" + std::to_string(recording.graph.inputs.size());
    recording.graph.inputs.push_back(values_.add_input(input, name));
  }
}

void Recorder::begin(const c10::FunctionSchema& schema, c10::ArrayRef<c10::IValue> arguments,
                     bool gradients) {
  node_ = Node{};
  node_.target = schema.name();
  node_.overload = schema.overload_name();
  node_.context = gradients ? 0 : context_without_gradients(recording_.graph);
  result_count_ = schema.returns().size();
  written_.clear();
  reserves_memory_ = reserves_memory(node_.target);
  for (std::size_t i = 0; i < arguments.size() && i < schema.arguments().size(); ++i) {
    const c10::Argument& declared = schema.arguments()[i];
    node_.arguments.push_back({declared.name(), argument(arguments[i], declared.alias_info())});
  }
}

void Recorder::end(const std::vector<c10::IValue>& results) {
  if (node_.target.empty() || results.size() != result_count_) return;
  for (const at::Tensor& tensor : written_) values_.mark_written(tensor);
  const auto result = [&](const at::Tensor& tensor) {
    if (!tensor.defined()) return kNoValue;
    const ValueId id = values_.add_result(tensor);
    if (reserves_memory_) values_.mark_unwritten(tensor);
    return id;
  };
  for (const c10::IValue& value : results) {
    if (value.isTensor()) {
      node_.results.push_back({false, {result(value.toTensor())}});
    } else if (value.isTensorList()) {
      Result list{true, {}};
      for (const at::Tensor& tensor : value.toTensorVector()) list.values.push_back(result(tensor));
      node_.results.push_back(std::move(list));
    } else {
      node_.results.push_back({false, {values_.add_number(value)}});
    }
  }
  recording_.graph.nodes.push_back(std::move(node_));
  node_ = Node{};
}

Argument Recorder::argument(const c10::IValue& value, const c10::AliasInfo* alias) {
  if (value.isTensor()) {
    if (!value.toTensor().defined()) return {};
    return {read(value.toTensor(), alias)};
  }
  if (value.isNone()) return {};
  if (value.isList() && (value.isTensorList() ||
                         (!value.toListRef().empty() &&
                          std::any_of(value.toListRef().begin(), value.toListRef().end(),
                                      [](const c10::IValue& item) { return item.isTensor(); })))) {
    Argument::List list;
    for (const c10::IValue& item : value.toListRef()) list.items.push_back(argument(item, alias));
    return {std::move(list)};
  }
  return {value};
}

// `alias`: how the operator's schema says that its result, or a write, touches the argument.
ValueId Recorder::read(const at::Tensor& tensor, const c10::AliasInfo* alias) {
  const bool writes = alias != nullptr && alias->isWrite();
  if (writes) written_.push_back(tensor);
  const auto found = values_.find(tensor);
  // Memory that no operator wrote and one now reads was filled by plain C++: torch::tensor(...).
  const bool takes_contents = alias == nullptr && !reserves_memory_;
  if (found && takes_contents && values_.is_unwritten(tensor)) return bring_in(tensor);
  if (!found) return bring_in(tensor);
  check_history(tensor, *found);
  const Value& value = recording_.graph.values[static_cast<std::size_t>(*found)];
  if (writes && value.kind == ValueKind::kConstant) {
    add_problem(operator_text(node_) +
                " writes in place into a tensor that the model keeps but did not register; "
                "register_buffer it");
  } else if (writes && value.kind == ValueKind::kParameter) {
    add_problem(operator_text(node_) + " writes in place into the parameter `" + value.name + "`");
  }
  if (!values_.is_known_object(tensor)) {
    if (values_.had_gradient(*found) && !tensor.requires_grad()) return detached(tensor, *found);
    values_.bind(tensor, *found);
  }
  return *found;
}

// A tensor that was there before the forward, or was filled by plain C++ in it.
ValueId Recorder::bring_in(const at::Tensor& tensor) {
  if (values_.knows_storage(tensor) && !values_.is_unwritten(tensor)) {
    add_problem(next_operator() + " reads a view of a tensor that no operator made");
  }
  const bool written_here = values_.is_unwritten(tensor);
  const ValueId constant = values_.add_constant(tensor);
  if (!written_here) return constant;
  // Each run gets a copy of its own, which it may write to.
  const ValueId copy = values_.add_result(tensor);
  add_unary("aten::clone", constant, copy);
  return copy;
}

// The same memory without autograd's record: tensor.data(), which is no operator.
ValueId Recorder::detached(const at::Tensor& tensor, ValueId value) {
  const ValueId result = values_.add_result(tensor);
  add_unary("aten::detach", value, result);
  return result;
}

void Recorder::add_unary(const char* target, ValueId input, ValueId result) {
  Node node;
  node.target = target;
  node.arguments.push_back({"self", {input}});
  node.results.push_back({false, {result}});
  recording_.graph.nodes.push_back(std::move(node));
}

void Recorder::check_history(const at::Tensor& tensor, ValueId value) {
  if (!values_.history_changed(tensor, value)) return;
  add_problem("the custom autograd function " + function_name(tensor) + ", whose result " +
              next_operator() +
              " reads: its backward is no operator, so it cannot be run from a graph; register it "
              "as an operator (TORCH_LIBRARY) with its derivative");
}

std::string Recorder::next_operator() const {
  return node_.target.empty() ? "the model's output" : operator_text(node_);
}

void Recorder::set_outputs(const std::vector<at::Tensor>& outputs) {
  node_ = Node{};
  for (const at::Tensor& output : outputs) {
    recording_.graph.outputs.push_back(output.defined() ? Argument{read(output, nullptr)}
                                                        : Argument{});
  }
}

void Recorder::throw_if_any_problem() const {
  if (problems_.empty()) return;
  const std::vector<std::string> problems(problems_.begin(), problems_.end());
  throw Error({.stage = Stage::kModel,
               .message = "this model does what no graph of operators can show:\n  - " +
                          join(problems, "\n  - ")});
}

}  // namespace tenon
