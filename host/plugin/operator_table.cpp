#include "plugin/operator_table.h"

#include <ATen/ScalarOps.h>
#include <ATen/core/List.h>

#include "base/error.h"
#include "plugin/fused_operators.h"
#include "plugin/handles.h"

namespace {

// The type that decides how a value is converted: `Tensor?` counts as Tensor.
c10::TypeKind argument_kind(const c10::Argument& argument) {
  c10::TypePtr type = argument.type();
  if (const auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
  return type->kind();
}

}  // namespace

tenon_op::tenon_op(c10::OperatorHandle operator_handle)
    : tenon_op(operator_handle.schema(), operator_handle, nullptr) {}

tenon_op::tenon_op(const c10::FunctionSchema& host_schema, Kernel host_kernel)
    : tenon_op(host_schema, std::nullopt, host_kernel) {}

tenon_op::tenon_op(const c10::FunctionSchema& operator_schema,
                   std::optional<c10::OperatorHandle> operator_handle, Kernel host_kernel)
    : handle(std::move(operator_handle)), kernel(host_kernel), schema(operator_schema) {
  for (const c10::Argument& argument : schema.arguments()) {
    kinds.push_back(argument_kind(argument));
    optional.push_back(argument.type()->kind() == c10::TypeKind::OptionalType);
  }
}

void tenon_op::operator()(torch::jit::Stack& stack) const {
  if (handle) {
    handle->callBoxed(&stack);
  } else {
    kernel(stack);
  }
}

namespace tenon {
namespace {

[[noreturn]] void misfit(const tenon_op& op, std::size_t index, const char* given) {
  const c10::Argument& argument = op.schema.arguments()[index];
  throw Error({.stage = Stage::kPlugins,
               .message = op.schema.name() + ": argument `" + argument.name() + "` wants " +
                          argument.type()->str() + ", not " + given});
}

c10::IValue tensor_list(const tenon_op& op, std::size_t index, const tenon_value& value) {
  const auto list_type = op.schema.arguments()[index].type();
  const bool optional_items =
      list_type->kind() == c10::TypeKind::ListType &&
      list_type->castRaw<c10::ListType>()->getElementType()->kind() == c10::TypeKind::OptionalType;
  if (optional_items) {
    c10::List<std::optional<at::Tensor>> list;
    for (std::uint32_t i = 0; i < value.n; ++i) {
      if (value.u.ts[i] == nullptr) {
        list.push_back(std::nullopt);
      } else {
        list.push_back(from_handle(value.u.ts[i]));
      }
    }
    return list;
  }
  c10::List<at::Tensor> list;
  for (std::uint32_t i = 0; i < value.n; ++i) {
    if (value.u.ts[i] == nullptr) misfit(op, index, "a list with an empty tensor");
    list.push_back(from_handle(value.u.ts[i]));
  }
  return list;
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
      if (scalar.isFloatingPoint()) return c10::List<double>({scalar.toDouble()});
      return c10::List<std::int64_t>({scalar.toLong()});
    default:
      misfit(op, index, "a number");
  }
}

c10::IValue to_ivalue(const tenon_op& op, std::size_t index, const tenon_value& value) {
  switch (value.tag) {
    case TENON_NONE:
      if (!op.optional[index]) misfit(op, index, "none");
      return {};
    case TENON_INT:
      return number(op, index, value.u.i);
    case TENON_DOUBLE:
      return number(op, index, value.u.d);
    case TENON_TRUTH:
      if (op.kinds[index] != c10::TypeKind::BoolType &&
          op.kinds[index] != c10::TypeKind::NumberType) {
        misfit(op, index, "a truth value");
      }
      return value.u.i != 0;
    case TENON_TENSOR:
      if (op.kinds[index] != c10::TypeKind::TensorType) misfit(op, index, "a tensor");
      if (value.u.t == nullptr) return op.optional[index] ? c10::IValue() : at::Tensor();
      return from_handle(value.u.t);
    case TENON_INT_LIST:
      return c10::List<std::int64_t>(at::IntArrayRef(value.u.is, value.n));
    case TENON_DOUBLE_LIST:
      return c10::List<double>(at::ArrayRef<double>(value.u.ds, value.n));
    case TENON_TENSOR_LIST:
      return tensor_list(op, index, value);
    case TENON_STRING:
      return std::string(value.u.s, value.n);
    case TENON_DTYPE:
      return value.u.i;
    default:
      misfit(op, index, "a value of unknown tag");
  }
}

tenon_value from_ivalue(c10::IValue value) {
  tenon_value out{};
  if (value.isTensor()) {
    out.tag = TENON_TENSOR;
    at::Tensor tensor = std::move(value).toTensor();
    out.u.t = tensor.defined() ? new_handle(std::move(tensor)) : nullptr;
  } else if (value.isNone()) {
    out.tag = TENON_NONE;
  } else if (value.isBool()) {
    out.tag = TENON_TRUTH;
    out.u.i = value.toBool() ? 1 : 0;
  } else if (value.isInt()) {
    out.tag = TENON_INT;
    out.u.i = value.toInt();
  } else if (value.isDouble()) {
    out.tag = TENON_DOUBLE;
    out.u.d = value.toDouble();
  } else if (value.isIntList()) {
    const std::vector<std::int64_t> list = value.toIntVector();
    auto* items = new std::int64_t[list.size()];
    std::copy(list.begin(), list.end(), items);
    out.tag = TENON_INT_LIST;
    out.n = static_cast<std::uint32_t>(list.size());
    out.u.is = items;
  } else if (value.isTensorList()) {
    const std::vector<at::Tensor> list = value.toTensorVector();
    auto* items = new tenon_tensor[list.size()];
    std::transform(list.begin(), list.end(), items,
                   [](const at::Tensor& tensor) { return new_handle(tensor); });
    out.tag = TENON_TENSOR_LIST;
    out.n = static_cast<std::uint32_t>(list.size());
    out.u.ts = items;
  } else {
    throw Error({.stage = Stage::kPlugins,
                 .message = "the operator returns a " + value.tagKind() +
                            ", which has no place in a tenon_value"});
  }
  return out;
}

}  // namespace

tenon_op* OperatorTable::resolve(const std::string& name, const std::string& overload) {
  const std::lock_guard lock(mutex_);
  const std::string key = name + "." + overload;
  if (const auto found = operators_.find(key); found != operators_.end()) {
    return found->second.get();
  }
  std::unique_ptr<tenon_op> op;
  if (const FusedOperator* fused = overload.empty() ? find_fused_operator(name) : nullptr) {
    op = std::make_unique<tenon_op>(fused->schema, fused->kernel);
  } else if (auto handle = c10::Dispatcher::singleton().findSchema({name, overload})) {
    op = std::make_unique<tenon_op>(*handle);
  } else {
    return nullptr;
  }
  return operators_.emplace(key, std::move(op)).first->second.get();
}

void push_arguments(const tenon_op& op, std::span<const tenon_value> arguments,
                    torch::jit::Stack& stack) {
  const auto& declared = op.schema.arguments();
  if (arguments.size() > declared.size()) {
    throw Error({.stage = Stage::kPlugins,
                 .message = op.schema.name() + " takes " + std::to_string(declared.size()) +
                            " arguments, not " + std::to_string(arguments.size())});
  }
  for (std::size_t i = 0; i < declared.size(); ++i) {
    if (i < arguments.size() && arguments[i].tag != TENON_DEFAULT) {
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

void pop_results(torch::jit::Stack& stack, std::span<tenon_value> results) {
  if (stack.size() != results.size()) {
    throw Error({.stage = Stage::kPlugins,
                 .message = "the operator returns " + std::to_string(stack.size()) +
                            " values, the caller has room for " + std::to_string(results.size())});
  }
  std::size_t done = 0;
  try {
    for (; done < results.size(); ++done) {
      results[done] = from_ivalue(std::move(stack[done]));
    }
  } catch (...) {
    release_results(results.first(done));
    throw;
  }
}

void release_results(std::span<tenon_value> results) {
  for (tenon_value& value : results) {
    if (value.tag == TENON_TENSOR) take_handle(value.u.t);
    if (value.tag == TENON_INT_LIST) delete[] value.u.is;
    if (value.tag == TENON_TENSOR_LIST) {
      for (std::uint32_t i = 0; i < value.n; ++i) take_handle(value.u.ts[i]);
      delete[] value.u.ts;
    }
    value = {};
  }
}

}  // namespace tenon
