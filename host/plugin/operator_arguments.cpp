// From plain values to an operator's arguments, as its schema wants them.
#include <ATen/ScalarOps.h>
#include <ATen/core/List.h>

#include "base/error.h"
#include "plugin/handles.h"
#include "plugin/operator_table.h"

namespace tenon {
namespace {

[[noreturn]] void misfit(const tenon_op& op, std::size_t index, const char* given) {
  const c10::Argument& argument = op.schema.arguments()[index];
  throw Error({.stage = Stage::kPlugins,
               .message = op.schema.name() + ": argument `" + argument.name() + "` wants " +
                          argument.type()->str() + ", not " + given});
}

c10::TypePtr item_type(const tenon_op& op, std::size_t index, const char* given) {
  c10::TypePtr type = op.schema.arguments()[index].type();
  if (const auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
  if (type->kind() != c10::TypeKind::ListType) misfit(op, index, given);
  return type->castRaw<c10::ListType>()->getElementType();
}

c10::IValue tensor_list(const tenon_op& op, std::size_t index, const tenon_value& value) {
  const auto type = item_type(op, index, "a list of tensors");
  if (type->kind() == c10::TypeKind::OptionalType) {
    c10::List<std::optional<at::Tensor>> list;
    list.reserve(value.n);
    for (std::uint32_t i = 0; i < value.n; ++i) {
      if (value.u.ts[i] == nullptr) {
        list.push_back(std::nullopt);
      } else {
        list.push_back(from_handle(value.u.ts[i]));
      }
    }
    return list;
  }
  if (type->kind() != c10::TypeKind::TensorType) misfit(op, index, "a list of tensors");
  c10::List<at::Tensor> list;
  list.reserve(value.n);
  for (std::uint32_t i = 0; i < value.n; ++i) {
    if (value.u.ts[i] == nullptr) misfit(op, index, "a list with an empty tensor");
    list.push_back(from_handle(value.u.ts[i]));
  }
  return list;
}

// Numbers as the list that the operator takes: int[], float[] or Scalar[].
template <typename T>
c10::IValue number_list(const tenon_op& op, std::size_t index, std::span<const T> numbers) {
  switch (item_type(op, index, "a list of numbers")->kind()) {
    case c10::TypeKind::FloatType:
      return c10::List<double>(std::vector<double>(numbers.begin(), numbers.end()));
    case c10::TypeKind::NumberType: {
      c10::List<at::Scalar> list;
      for (const T number : numbers) list.push_back(at::Scalar(number));
      return list;
    }
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      if constexpr (std::is_same_v<T, std::int64_t>) {
        return c10::List<std::int64_t>(at::IntArrayRef(numbers.data(), numbers.size()));
      }
      misfit(op, index, "a list of floats");
    default:
      misfit(op, index, "a list of numbers");
  }
}

c10::IValue truth_list(const tenon_op& op, std::size_t index, const tenon_value& value) {
  if (item_type(op, index, "a list of truth values")->kind() != c10::TypeKind::BoolType) {
    misfit(op, index, "a list of truth values");
  }
  c10::List<bool> list;
  for (std::uint32_t i = 0; i < value.n; ++i) list.push_back(value.u.bs[i] != 0);
  return list;
}

c10::IValue string_list(const tenon_op& op, std::size_t index, const tenon_value& value) {
  if (item_type(op, index, "a list of strings")->kind() != c10::TypeKind::StringType) {
    misfit(op, index, "a list of strings");
  }
  c10::List<std::string> list;
  for (std::uint32_t i = 0; i < value.n; ++i) {
    list.push_back(std::string(value.u.ss[i]));
  }
  return list;
}

// An item of a TENON_VALUE_LIST: numbers, tensors, or none where items are optional.
c10::IValue list_item(const tenon_op& op, std::size_t index, const tenon_value& item,
                      const c10::TypePtr& type) {
  const bool is_scalar = type->kind() == c10::TypeKind::NumberType;
  switch (item.tag) {
    case TENON_VALUE_INT:
      if (type->kind() == c10::TypeKind::FloatType) return static_cast<double>(item.u.i);
      return item.u.i;
    case TENON_VALUE_DOUBLE:
      if (!is_scalar && type->kind() != c10::TypeKind::FloatType) misfit(op, index, "a float");
      return item.u.d;
    case TENON_VALUE_BOOL:
      if (!is_scalar && type->kind() != c10::TypeKind::BoolType) misfit(op, index, "a truth value");
      return item.u.i != 0;
    case TENON_VALUE_TENSOR:
      if (item.u.t == nullptr) return {};
      return from_handle(item.u.t);
    case TENON_VALUE_NONE:
      return {};
    default:
      misfit(op, index, "a list in a list");
  }
}

c10::IValue value_list(const tenon_op& op, std::size_t index, const tenon_value& value) {
  const c10::TypePtr type = item_type(op, index, "a list");
  const auto optional = type->cast<c10::OptionalType>();
  c10::impl::GenericList list(type);
  for (std::uint32_t i = 0; i < value.n; ++i) {
    c10::IValue item =
        list_item(op, index, value.u.vs[i], optional ? optional->getElementType() : type);
    if (item.isNone() && !optional) misfit(op, index, "a list with an empty item");
    list.push_back(std::move(item));
  }
  return c10::IValue(std::move(list));
}

c10::IValue number(const tenon_op& op, std::size_t index, const at::Scalar& scalar) {
  switch (op.kinds[index]) {
    case c10::TypeKind::TensorType:
      // As PyTorch's own binding: a number in a tensor's place does not decide the result's dtype.
      return at::native::wrapped_scalar_tensor(scalar);
    case c10::TypeKind::FloatType:
      return scalar.toDouble();
    case c10::TypeKind::NumberType:
      return scalar;
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      if (scalar.isFloatingPoint()) misfit(op, index, "a float");
      return scalar.toLong();
    case c10::TypeKind::ListType:
      if (scalar.isFloatingPoint()) {
        const double item = scalar.toDouble();
        return number_list<double>(op, index, {&item, 1});
      } else {
        const std::int64_t item = scalar.toLong();
        return number_list<std::int64_t>(op, index, {&item, 1});
      }
    default:
      misfit(op, index, "a number");
  }
}

c10::IValue text(const tenon_op& op, std::size_t index, const tenon_value& value) {
  std::string content(value.u.s, value.n);
  if (op.kinds[index] == c10::TypeKind::DeviceObjType) return c10::Device(content);
  if (op.kinds[index] != c10::TypeKind::StringType) misfit(op, index, "a string");
  return content;
}

c10::IValue to_ivalue(const tenon_op& op, std::size_t index, const tenon_value& value) {
  const c10::TypeKind kind = op.kinds[index];
  switch (value.tag) {
    case TENON_VALUE_NONE:
      if (!op.optional[index]) misfit(op, index, "none");
      return {};
    case TENON_VALUE_INT:
      return number(op, index, value.u.i);
    case TENON_VALUE_DOUBLE:
      return number(op, index, value.u.d);
    case TENON_VALUE_BOOL:
      if (kind != c10::TypeKind::BoolType && kind != c10::TypeKind::NumberType) {
        misfit(op, index, "a truth value");
      }
      return value.u.i != 0;
    case TENON_VALUE_TENSOR:
      if (kind != c10::TypeKind::TensorType) misfit(op, index, "a tensor");
      if (value.u.t == nullptr) return op.optional[index] ? c10::IValue() : at::Tensor();
      return from_handle(value.u.t);
    case TENON_VALUE_INT_LIST:
      return number_list<std::int64_t>(op, index, {value.u.is, value.n});
    case TENON_VALUE_DOUBLE_LIST:
      return number_list<double>(op, index, {value.u.ds, value.n});
    case TENON_VALUE_TENSOR_LIST:
      return tensor_list(op, index, value);
    case TENON_VALUE_BOOL_LIST:
      return truth_list(op, index, value);
    case TENON_VALUE_STRING_LIST:
      return string_list(op, index, value);
    case TENON_VALUE_LIST:
      return value_list(op, index, value);
    case TENON_VALUE_STRING:
      return text(op, index, value);
    case TENON_VALUE_DTYPE:
      if (kind != c10::TypeKind::IntType) misfit(op, index, "a dtype");
      return value.u.i;
    case TENON_VALUE_GENERATOR:
      if (kind != c10::TypeKind::GeneratorType) misfit(op, index, "a generator");
      return value.u.g == nullptr ? c10::IValue() : c10::IValue(value.u.g->generator);
    default:
      misfit(op, index, "a value of unknown tag");
  }
}

}  // namespace

void push_arguments(const tenon_op& op, std::span<const tenon_value> arguments,
                    torch::jit::Stack& stack) {
  const auto& declared = op.schema.arguments();
  if (arguments.size() > declared.size()) {
    throw Error({.stage = Stage::kPlugins,
                 .message = op.schema.name() + " takes " + std::to_string(declared.size()) +
                            " arguments, not " + std::to_string(arguments.size())});
  }
  for (std::size_t i = 0; i < declared.size(); ++i) {
    if (i < arguments.size() && arguments[i].tag != TENON_VALUE_DEFAULT) {
      stack.push_back(to_ivalue(op, i, arguments[i]));
    } else if (declared[i].default_value()) {
      stack.push_back(*declared[i].default_value());
    } else {
      throw Error({.stage = Stage::kPlugins,
                   .message = op.schema.name() + ": argument `" + declared[i].name() +
                              "` is missing and has no default"});
    }
  }
}

}  // namespace tenon
