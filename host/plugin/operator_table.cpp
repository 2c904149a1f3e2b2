#include "plugin/operator_table.h"

#include "plugin/fused_operators.h"

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

}  // namespace tenon
