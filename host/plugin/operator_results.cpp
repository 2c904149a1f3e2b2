// From an operator's results to plain values with owned handles, and back to nothing.
#include <ATen/core/List.h>

#include <algorithm>

#include "base/error.h"
#include "plugin/handles.h"
#include "plugin/operator_table.h"

namespace tenon {
namespace {

template <typename T>
const T* new_array(const std::vector<T>& items) {
  T* array = new T[items.size()];
  std::copy(items.begin(), items.end(), array);
  return array;
}

tenon_value from_ivalue(c10::IValue value) {
  tenon_value out{};
  if (value.isTensor()) {
    out.tag = TENON_VALUE_TENSOR;
    at::Tensor tensor = std::move(value).toTensor();
    out.u.t = tensor.defined() ? new_handle(std::move(tensor)) : nullptr;
  } else if (value.isNone()) {
    out.tag = TENON_VALUE_NONE;
  } else if (value.isBool()) {
    out.tag = TENON_VALUE_BOOL;
    out.u.i = value.toBool() ? 1 : 0;
  } else if (value.isInt()) {
    out.tag = TENON_VALUE_INT;
    out.u.i = value.toInt();
  } else if (value.isDouble()) {
    out.tag = TENON_VALUE_DOUBLE;
    out.u.d = value.toDouble();
  } else if (value.isIntList()) {
    const std::vector<std::int64_t> list = value.toIntVector();
    out.tag = TENON_VALUE_INT_LIST;
    out.n = static_cast<std::uint32_t>(list.size());
    out.u.is = new_array(list);
  } else if (value.isDoubleList()) {
    const std::vector<double> list = value.toDoubleVector();
    out.tag = TENON_VALUE_DOUBLE_LIST;
    out.n = static_cast<std::uint32_t>(list.size());
    out.u.ds = new_array(list);
  } else if (value.isBoolList()) {
    const auto list = value.toBoolList();
    out.tag = TENON_VALUE_BOOL_LIST;
    out.n = static_cast<std::uint32_t>(list.size());
    out.u.bs = new_array(std::vector<std::uint8_t>(list.begin(), list.end()));
  } else if (value.isString()) {
    const std::string& content = value.toStringRef();
    out.tag = TENON_VALUE_STRING;
    out.n = static_cast<std::uint32_t>(content.size());
    out.u.s = new_array(std::vector<char>(content.begin(), content.end()));
  } else if (value.isTensorList() || value.isOptionalTensorList()) {
    std::vector<tenon_tensor> handles;
    for (const c10::IValue& item : value.toListRef()) {
      const bool present = item.isTensor() && item.toTensor().defined();
      handles.push_back(present ? new_handle(item.toTensor()) : nullptr);
    }
    out.tag = TENON_VALUE_TENSOR_LIST;
    out.n = static_cast<std::uint32_t>(handles.size());
    out.u.ts = new_array(handles);
  } else {
    throw Error({.stage = Stage::kPlugins,
                 .message = "the operator returns a " + value.tagKind() +
                            ", which has no place in a tenon_value"});
  }
  return out;
}

}  // namespace

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
    if (value.tag == TENON_VALUE_TENSOR) take_handle(value.u.t);
    if (value.tag == TENON_VALUE_INT_LIST) delete[] value.u.is;
    if (value.tag == TENON_VALUE_DOUBLE_LIST) delete[] value.u.ds;
    if (value.tag == TENON_VALUE_BOOL_LIST) delete[] value.u.bs;
    if (value.tag == TENON_VALUE_STRING) delete[] value.u.s;
    if (value.tag == TENON_VALUE_TENSOR_LIST) {
      for (std::uint32_t i = 0; i < value.n; ++i) take_handle(value.u.ts[i]);
      delete[] value.u.ts;
    }
    value = {};
  }
}

}  // namespace tenon
