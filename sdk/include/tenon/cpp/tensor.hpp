// Tensors and operators for plugin authors: owning handles, arithmetic, any ATen operator by name.
#pragma once

#include <cstdint>
#include <exception>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tenon/host.h"

// Hidden as a whole, so that two plugins built with two SDKs never share one of these definitions.
namespace tenon __attribute__((visibility("hidden"))) {

  // Thrown by everything in this layer, caught at the fence in layer.hpp. Throw it yourself to
  // refuse something: `throw tenon::Failure(TENON_UNSUPPORTED, "groups > 1 cannot be adapted")`.
  class Failure : public std::exception {
   public:
    Failure(tenon_status status, std::string text) : status_(status), text_(std::move(text)) {}
    tenon_status status() const { return status_; }
    const char* what() const noexcept override { return text_.c_str(); }

   private:
    tenon_status status_;
    std::string text_;
  };

  namespace detail {

  // The host's table, set once before any other function of the plugin runs.
  inline const tenon_host* host = nullptr;

  // Where a host function failed, its text stays in this sink; `check` throws so that the fence can
  // return the status with the text already in place.
  inline thread_local tenon_error* error_sink = nullptr;

  // A host function has failed and has filled the sink.
  struct HostFailure {
    tenon_status status;
  };

  inline void check(tenon_status status) {
    if (status != TENON_OK) throw HostFailure{status};
  }

  }  // namespace detail

  using Shape = std::vector<std::int64_t>;

  // A tensor. Those that the host lends for a call are borrowed; copying one gives a handle of its
  // own, so a copy may be kept until the call returns, and results may be returned.
  class Tensor {
   public:
    Tensor() = default;
    static Tensor owned(tenon_tensor handle) { return Tensor(handle, true); }
    static Tensor borrowed(tenon_tensor handle) { return Tensor(handle, false); }

    Tensor(const Tensor& other) : handle_(other.retained()), owned_(handle_ != nullptr) {}
    Tensor(Tensor&& other) noexcept
        : handle_(std::exchange(other.handle_, nullptr)),
          owned_(std::exchange(other.owned_, false)) {}
    Tensor& operator=(Tensor other) noexcept {
      std::swap(handle_, other.handle_);
      std::swap(owned_, other.owned_);
      return *this;
    }
    ~Tensor() {
      if (owned_) detail::host->release(handle_);
    }

    explicit operator bool() const { return handle_ != nullptr; }
    tenon_tensor handle() const { return handle_; }
    // An owned handle that the caller must give away or release; this tensor is empty afterwards.
    tenon_tensor give() && {
      const tenon_tensor handle = owned_ ? handle_ : retained();
      handle_ = nullptr;
      owned_ = false;
      return handle;
    }

    tenon_tensor_info info() const {
      tenon_tensor_info out{};
      out.struct_size = sizeof out;
      detail::check(detail::host->describe(handle_, &out, detail::error_sink));
      return out;
    }
    Shape shape() const {
      const tenon_tensor_info facts = info();
      return Shape(facts.shape, facts.shape + facts.ndim);
    }
    std::int64_t size(std::int64_t dimension) const {
      const tenon_tensor_info facts = info();
      return facts.shape[dimension < 0 ? dimension + facts.ndim : dimension];
    }
    std::int32_t dtype() const { return info().dtype; }
    bool requires_grad() const { return info().requires_grad != 0; }

   private:
    Tensor(tenon_tensor handle, bool owned) : handle_(handle), owned_(owned) {}
    tenon_tensor retained() const {
      tenon_tensor out = nullptr;
      if (handle_) detail::check(detail::host->retain(handle_, &out, detail::error_sink));
      return out;
    }

    tenon_tensor handle_ = nullptr;
    bool owned_ = false;
  };

  struct None {};     // Python's None
  struct Default {};  // the operator's own default
  struct Dtype {
    std::int32_t number;  // TENON_FLOAT32, ...
  };

  // An operator's argument; borrows what it is made from, so it is only ever a temporary.
  struct Value : tenon_value {
    Value(const Tensor& tensor) : tenon_value{TENON_TENSOR, 0, {.t = tensor.handle()}} {}
    Value(bool truth) : tenon_value{TENON_TRUTH, 0, {.i = truth}} {}
    Value(int number) : tenon_value{TENON_INT, 0, {.i = number}} {}
    Value(std::int64_t number) : tenon_value{TENON_INT, 0, {.i = number}} {}
    Value(double number) : tenon_value{TENON_DOUBLE, 0, {.d = number}} {}
    Value(const Shape& list)
        : tenon_value{
              TENON_INT_LIST, static_cast<std::uint32_t>(list.size()), {.is = list.data()}} {}
    Value(const std::vector<tenon_tensor>& list)
        : tenon_value{
              TENON_TENSOR_LIST, static_cast<std::uint32_t>(list.size()), {.ts = list.data()}} {}
    Value(std::string_view text)
        : tenon_value{TENON_STRING, static_cast<std::uint32_t>(text.size()), {.s = text.data()}} {}
    Value(const char* text) : Value(std::string_view(text)) {}
    Value(const std::vector<double>& list)
        : tenon_value{
              TENON_DOUBLE_LIST, static_cast<std::uint32_t>(list.size()), {.ds = list.data()}} {}
    Value(const std::vector<tenon_value>& list)
        : tenon_value{
              TENON_VALUE_LIST, static_cast<std::uint32_t>(list.size()), {.vs = list.data()}} {}
    Value(std::span<const std::uint8_t> truths)
        : tenon_value{
              TENON_TRUTH_LIST, static_cast<std::uint32_t>(truths.size()), {.bs = truths.data()}} {}
    Value(tenon_generator* generator) : tenon_value{TENON_GENERATOR, 0, {.g = generator}} {}
    Value(Dtype dtype) : tenon_value{TENON_DTYPE, 0, {.i = dtype.number}} {}
    Value(None) : tenon_value{TENON_NONE, 0, {.i = 0}} {}
    Value(Default) : tenon_value{TENON_DEFAULT, 0, {.i = 0}} {}
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
      if (result.tag != TENON_TENSOR) {
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
        if (value.tag == TENON_TENSOR) tensors.push_back(Tensor::owned(value.u.t));
        if (value.tag != TENON_TENSOR_LIST) continue;
        for (std::uint32_t i = 0; i < value.n; ++i) {
          const Tensor item = Tensor::borrowed(value.u.ts[i]);
          tensors.push_back(item);  // a handle of its own
        }
        detail::host->release_results(&value, 1);
      }
      return tensors;
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

  // The few operators that most layers need; any other is one Operator away.
  inline Tensor operator+(const Tensor& a, const Tensor& b) {
    static const Operator add("aten::add", "Tensor");
    return add(a, b);
  }
  // a + alpha * b, without a scaled copy of b.
  inline Tensor add(const Tensor& a, const Tensor& b, double alpha) {
    static const Operator op("aten::add", "Tensor");
    return op(a, b, alpha);
  }
  inline Tensor operator-(const Tensor& a, const Tensor& b) {
    static const Operator sub("aten::sub", "Tensor");
    return sub(a, b);
  }
  inline Tensor operator*(const Tensor& a, const Tensor& b) {
    static const Operator mul("aten::mul", "Tensor");
    return mul(a, b);
  }
  inline Tensor operator*(const Tensor& a, double b) {
    static const Operator mul("aten::mul", "Scalar");
    return mul(a, b);
  }
  inline Tensor operator*(double a, const Tensor& b) { return b * a; }
  inline Tensor operator/(const Tensor& a, const Tensor& b) {
    static const Operator div("aten::div", "Tensor");
    return div(a, b);
  }
  inline Tensor matmul(const Tensor& a, const Tensor& b) {
    static const Operator op("aten::matmul");
    return op(a, b);
  }
  // x W^T; weight (out, in).
  inline Tensor linear(const Tensor& x, const Tensor& weight) {
    static const Operator op("aten::linear");
    return op(x, weight);
  }
  inline Tensor transpose(const Tensor& x, std::int64_t first, std::int64_t second) {
    static const Operator op("aten::transpose", "int");
    return op(x, first, second);
  }
  inline Tensor reshape(const Tensor& x, const Shape& shape) {
    static const Operator op("aten::reshape");
    return op(x, shape);
  }
  inline Tensor dropout(const Tensor& x, double p, bool training) {
    static const Operator op("aten::dropout");
    return op(x, p, training);
  }
  inline Tensor to_dtype(const Tensor& x, std::int32_t dtype) {
    static const Operator op("aten::to", "dtype");
    return op(x, Dtype{dtype});
  }

}  // namespace tenon
