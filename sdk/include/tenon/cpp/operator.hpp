// Any operator of LibTorch's, or of the host's own, by its name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tenon/cpp/tensor.hpp"
#include "tenon/host.h"

namespace tenon __attribute__((visibility("hidden"))) {

  struct None {};     // Python's None
  struct Default {};  // the operator's own default
  struct Dtype {
    std::int32_t number;  // TENON_DTYPE_FLOAT32, ...
  };

  // An operator's argument; borrows what it is made from, so it is only ever a temporary.
  struct Value : tenon_value {
    Value(const Tensor& tensor) : tenon_value{TENON_VALUE_TENSOR, 0, {.t = tensor.handle()}} {}
    Value(bool truth) : tenon_value{TENON_VALUE_BOOL, 0, {.i = truth}} {}
    Value(int number) : tenon_value{TENON_VALUE_INT, 0, {.i = number}} {}
    Value(std::int64_t number) : tenon_value{TENON_VALUE_INT, 0, {.i = number}} {}
    Value(double number) : tenon_value{TENON_VALUE_DOUBLE, 0, {.d = number}} {}
    Value(const Shape& list)
        : tenon_value{
              TENON_VALUE_INT_LIST, static_cast<std::uint32_t>(list.size()), {.is = list.data()}} {}
    Value(const std::vector<tenon_tensor>& list)
        : tenon_value{TENON_VALUE_TENSOR_LIST,
                      static_cast<std::uint32_t>(list.size()),
                      {.ts = list.data()}} {}
    Value(const char* text)
        : tenon_value{TENON_VALUE_STRING,
                      static_cast<std::uint32_t>(std::char_traits<char>::length(text)),
                      {.s = text}} {}
    Value(const std::string& text)
        : tenon_value{
              TENON_VALUE_STRING, static_cast<std::uint32_t>(text.size()), {.s = text.c_str()}} {}
    Value(const std::vector<double>& list)
        : tenon_value{TENON_VALUE_DOUBLE_LIST,
                      static_cast<std::uint32_t>(list.size()),
                      {.ds = list.data()}} {}
    Value(const std::vector<tenon_value>& list)
        : tenon_value{
              TENON_VALUE_LIST, static_cast<std::uint32_t>(list.size()), {.vs = list.data()}} {}
    Value(std::span<const std::uint8_t> truths)
        : tenon_value{TENON_VALUE_BOOL_LIST,
                      static_cast<std::uint32_t>(truths.size()),
                      {.bs = truths.data()}} {}
    Value(const std::vector<tenon_entry>& table)
        : tenon_value{
              TENON_VALUE_TABLE, static_cast<std::uint32_t>(table.size()), {.es = table.data()}} {}
    Value(tenon_generator* generator) : tenon_value{TENON_VALUE_GENERATOR, 0, {.g = generator}} {}
    Value(Dtype dtype) : tenon_value{TENON_VALUE_DTYPE, 0, {.i = dtype.number}} {}
    Value(None) : tenon_value{TENON_VALUE_NONE, 0, {.i = 0}} {}
    Value(Default) : tenon_value{TENON_VALUE_DEFAULT, 0, {.i = 0}} {}
  };

  // An argument by its name in the operator's schema: softmax(x, -1, named("dtype", Dtype{7})).
  // Stands behind the arguments without a name.
  template <typename T>
  struct Named {
    const char* name;
    const T& value;
  };
  namespace detail {
  template <typename T>
  inline constexpr bool kIsNamed = false;
  template <typename T>
  inline constexpr bool kIsNamed<Named<T>> = true;
  }  // namespace detail
  template <typename T>
  Named<T> named(const char* name, const T& value) {
    return {name, value};
  }

  // A resolved operator. Resolving costs a look-up, so keep it in a function-local static:
  //   static const tenon::Operator mul("aten::mul", "Tensor");
  //   Tensor y = mul(x, scale);
  class Operator {
   public:
    explicit Operator(const char* name, const char* overload = "") {
      detail::check(detail::host->resolve(name, overload, &operator_, detail::error_sink));
    }

    // The single tensor that the operator returns.
    template <typename... Arguments>
    Tensor operator()(const Arguments&... arguments) const {
      tenon_value result{};
      run(&result, 1, arguments...);
      if (result.tag != TENON_VALUE_TENSOR) {
        detail::host->release_results(&result, 1);
        throw Failure(TENON_INTERNAL, "the operator does not return one tensor; use results()");
      }
      return Tensor::owned(result.u.t);
    }

    // The tensors of an operator that returns `count` of them, or one list of tensors.
    template <typename... Arguments>
    std::vector<Tensor> results(std::uint32_t count, const Arguments&... arguments) const {
      std::vector<tenon_value> raw(count);
      run(raw.data(), count, arguments...);
      std::vector<Tensor> tensors;
      for (tenon_value& value : raw) {
        if (value.tag == TENON_VALUE_TENSOR) tensors.push_back(Tensor::owned(value.u.t));
        if (value.tag != TENON_VALUE_TENSOR_LIST) continue;
        for (std::uint32_t i = 0; i < value.n; ++i) {
          const Tensor item = Tensor::borrowed(value.u.ts[i]);
          tensors.push_back(item);  // a handle of its own
        }
        detail::host->release_results(&value, 1);
      }
      return tensors;
    }

    // The one truth or number that the operator returns: is_same.number<bool>(a, b).
    template <typename T, typename... Arguments>
    T number(const Arguments&... arguments) const {
      tenon_value result{};
      run(&result, 1, arguments...);
      if (result.tag == TENON_VALUE_BOOL || result.tag == TENON_VALUE_INT) {
        return static_cast<T>(result.u.i);
      }
      if (result.tag == TENON_VALUE_DOUBLE) return static_cast<T>(result.u.d);
      detail::host->release_results(&result, 1);
      throw Failure(TENON_INTERNAL, "the operator returns no number");
    }

   private:
    static constexpr std::size_t kMostArguments = 32;

    // `place` is where the next argument without a name goes.
    template <typename T>
    void put(tenon_value* values, std::uint32_t& place, const T& argument) const {
      values[place++] = Value(argument);
    }
    template <typename T>
    void put(tenon_value* values, std::uint32_t& place, const Named<T>& argument) const {
      std::uint32_t index = 0;
      detail::check(
          detail::host->argument_index(operator_, argument.name, &index, detail::error_sink));
      if (index >= kMostArguments) throw Failure(TENON_INTERNAL, "too many arguments");
      while (place <= index) values[place++] = Value(Default{});
      values[index] = Value(argument.value);
    }

    template <typename... Arguments>
    void run(tenon_value* results, std::uint32_t count, const Arguments&... arguments) const {
      static_assert(sizeof...(arguments) <= kMostArguments);
      std::uint32_t n = 0;
      if constexpr (sizeof...(arguments) == 0) {
        call(nullptr, n, results, count);
      } else if constexpr ((detail::kIsNamed<Arguments> || ...)) {
        tenon_value values[kMostArguments];
        (put(values, n, arguments), ...);
        call(values, n, results, count);
      } else {
        tenon_value values[sizeof...(arguments)];
        (put(values, n, arguments), ...);
        call(values, n, results, count);
      }
    }

    void call(const tenon_value* values, std::uint32_t n, tenon_value* results,
              std::uint32_t count) const {
      detail::check(detail::host->call(operator_, values, n, results, count, detail::error_sink));
    }

    tenon_op* operator_ = nullptr;
  };

  // What operators take that want a list of tensors: einsum("ij,jk->ik", handles_of(a, b)). Borrows
  // from the tensors.
  template <typename... Tensors>
  std::vector<tenon_tensor> handles_of(const Tensors&... tensors) {
    return {tensors.handle()...};
  }
  inline std::vector<tenon_tensor> handles_of(const std::vector<Tensor>& tensors) {
    std::vector<tenon_tensor> handles;
    for (const Tensor& tensor : tensors) handles.push_back(tensor.handle());
    return handles;
  }

}  // namespace tenon
