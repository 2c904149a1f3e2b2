#include "pt2/pt2_arguments.h"

#include <ATen/core/List.h>

#include <map>
#include <stdexcept>
#include <type_traits>

#include <torch/csrc/utils/generated_serialization_types.h>

#include "pt2/pt2_numbers.h"

namespace tenon::pt2 {
namespace {

namespace schema = torch::_export;

template <typename Enum>
constexpr std::int64_t number(Enum value) {
  return static_cast<std::int64_t>(value);
}

c10::Device convert(const schema::Device& device) {
  const std::string index = device.get_index() ? ":" + std::to_string(*device.get_index()) : "";
  return c10::Device(device.get_type() + index);
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

// In the order of their keys, which is the same for every run.
template <typename Items>
Argument dictionary(const Items& items) {
  std::map<std::string, Argument> sorted;
  for (const auto& [key, item] : items) sorted.emplace(key, convert_argument(*item));
  return {Argument::Dictionary{{sorted.begin(), sorted.end()}}};
}

}  // namespace

Argument reference(const schema::TensorArgument& tensor) {
  return {Reference{tensor.get_name(), false}};
}

Argument convert_argument(const schema::Argument& argument) {
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
      return {std::make_shared<Graph>(convert_graph(*argument.get_as_graph().get_graph()))};
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
      return {c10::IValue(argument.get_as_operator())};
    case Tag::AS_STRING_TO_ARGUMENT:
      return dictionary(argument.get_as_string_to_argument());
  }
  return {Unsupported{"of a kind that is not known"}};
}

std::vector<Argument> convert_arguments(const std::vector<schema::Argument>& arguments) {
  std::vector<Argument> result;
  result.reserve(arguments.size());
  for (const schema::Argument& argument : arguments) result.push_back(convert_argument(argument));
  return result;
}

Dimension convert_size(const schema::SymInt& size) {
  if (size.tag() == schema::SymInt::Tag::AS_INT) return {size.get_as_int(), ""};
  return {-1, size.get_as_expr().get_expr_str()};
}

TensorMeta convert_meta(const schema::TensorMeta& meta) {
  TensorMeta result;
  result.dtype = scalar_type(number(meta.get_dtype()));
  for (const schema::SymInt& size : meta.get_sizes()) result.sizes.push_back(convert_size(size));
  for (const schema::SymInt& stride : meta.get_strides())
    result.strides.push_back(convert_size(stride));
  result.storage_offset = convert_size(meta.get_storage_offset());
  result.strided = meta.get_layout() == schema::Layout::Strided;
  return result;
}

}  // namespace tenon::pt2
