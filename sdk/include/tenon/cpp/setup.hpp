// What a layer sees while an adapter is added to it: the base's facts, the options, and where to
// declare parameters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "tenon/cpp/tensor.hpp"

namespace tenon __attribute__((visibility("hidden"))) {

  // A parameter or buffer of the base.
  struct Weight {
    std::uint32_t index = 0;  // its number in every call
    std::string_view name;    // relative to the module: "weight"
    Shape shape;
    std::int32_t dtype = TENON_DTYPE_FLOAT32;
    bool is_buffer = false;
    bool is_target = false;  // named by target_parameters
  };

  namespace detail {

  template <typename T>
  inline constexpr bool kIsOptional = false;
  template <typename T>
  inline constexpr bool kIsOptional<std::optional<T>> = true;

  template <typename T>
  T from_value(const tenon_value& value, std::string_view key) {
    const auto wrong = [&](const char* wanted) -> Failure {
      return Failure(TENON_INVALID_ARGUMENT, "`" + std::string(key) + "` is not " + wanted);
    };
    if constexpr (kIsOptional<T>) {
      if (value.tag == TENON_VALUE_NONE) return std::nullopt;
      return from_value<typename T::value_type>(value, key);
    } else if constexpr (std::is_same_v<T, bool>) {
      if (value.tag != TENON_VALUE_BOOL) throw wrong("true or false");
      return value.u.i != 0;
    } else if constexpr (std::is_integral_v<T>) {
      if (value.tag != TENON_VALUE_INT) throw wrong("a whole number");
      return static_cast<T>(value.u.i);
    } else if constexpr (std::is_floating_point_v<T>) {
      if (value.tag == TENON_VALUE_INT) return static_cast<T>(value.u.i);
      if (value.tag != TENON_VALUE_DOUBLE) throw wrong("a number");
      return static_cast<T>(value.u.d);
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (value.tag != TENON_VALUE_STRING) throw wrong("a string");
      return std::string(value.u.s, value.n);
    } else if constexpr (std::is_same_v<T, std::vector<double>>) {
      if (value.tag == TENON_VALUE_DOUBLE_LIST) return T(value.u.ds, value.u.ds + value.n);
      if (value.tag != TENON_VALUE_INT_LIST) throw wrong("a list of numbers");
      return T(value.u.is, value.u.is + value.n);
    } else if constexpr (std::is_same_v<T, std::vector<bool>>) {
      if (value.tag != TENON_VALUE_BOOL_LIST) throw wrong("a list of true or false");
      return T(value.u.bs, value.u.bs + value.n);
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      if (value.tag != TENON_VALUE_STRING_LIST) throw wrong("a list of strings");
      T texts;
      for (std::uint32_t i = 0; i < value.n; ++i) {
        texts.emplace_back(value.u.ss[i]);
      }
      return texts;
    } else {
      static_assert(std::is_same_v<T, Shape>,
                    "bool, an integer, a float, std::string, Shape, a std::vector of double, bool "
                    "or std::string, or a std::optional of these");
      if (value.tag == TENON_VALUE_INT) return Shape{value.u.i};
      if (value.tag != TENON_VALUE_INT_LIST) throw wrong("a list of whole numbers");
      return Shape(value.u.is, value.u.is + value.n);
    }
  }

  }  // namespace detail

  // A table among the options: names or expressions with a value each, or keys. Borrowed like the
  // setup that it comes from.
  class Table {
   public:
    explicit Table(const tenon_value& value)
        : entries_(value.u.es), n_(value.tag == TENON_VALUE_TABLE ? value.n : 0) {}
    std::uint32_t size() const { return n_; }
    std::string_view key(std::uint32_t i) const { return entries_[i].key; }
    template <typename T>
    T value(std::uint32_t i) const {
      return detail::from_value<T>(entries_[i].value, entries_[i].key);
    }
    template <typename T>
    std::optional<T> find(std::string_view wanted) const {
      for (std::uint32_t i = 0; i < n_; ++i) {
        if (key(i) == wanted) return value<T>(i);
      }
      return std::nullopt;
    }

   private:
    const tenon_entry* entries_;
    std::uint32_t n_;
  };

  // The wrapped layer: facts only, no tensor is touched.
  class Base {
   public:
    explicit Base(const tenon_base& base) : base_(base) {}

    std::string_view type() const { return base_.type; }
    std::string_view path() const { return base_.module_path; }
    // "aten::linear" where the layer is exactly that operator on its own weights; else "".
    std::string_view operator_name() const { return base_.operator_name; }
    std::uint32_t n_inputs() const { return base_.n_inputs; }
    std::uint32_t n_outputs() const { return base_.n_outputs; }

    std::vector<Weight> weights() const {
      std::vector<Weight> out;
      for (std::uint32_t i = 0; i < base_.n_weights; ++i) out.push_back(weight_at(i));
      return out;
    }
    std::optional<std::uint32_t> find_weight(std::string_view name) const {
      for (std::uint32_t i = 0; i < base_.n_weights; ++i) {
        if (name == base_.weights[i]->name) return i;
      }
      return std::nullopt;
    }
    // These two throw TENON_UNSUPPORTED if the base has no weight of that name.
    std::uint32_t weight_index(std::string_view name) const {
      if (const auto found = find_weight(name)) return *found;
      throw Failure(TENON_UNSUPPORTED, "the base has no weight `" + std::string(name) + "`");
    }
    Weight weight(std::string_view name) const { return weight_at(weight_index(name)); }
    Weight weight_at(std::uint32_t i) const {
      const tenon_weight_info& facts = *base_.weights[i];
      return {i,
              facts.name,
              Shape(facts.shape, facts.shape + facts.ndim),
              facts.dtype,
              (facts.flags & TENON_WEIGHT_IS_BUFFER) != 0,
              (facts.flags & TENON_WEIGHT_IS_TARGET) != 0};
    }
    // The attribute if the base has it and it is not None.
    template <typename T>
    std::optional<T> find_attribute(const char* name) const {
      tenon_value value{};
      if (detail::host->attribute(&base_, name, &value, nullptr) != TENON_OK ||
          value.tag == TENON_VALUE_NONE) {
        return std::nullopt;
      }
      return detail::from_value<T>(value, name);
    }
    // An argument of an operator that uses the weights, by its schema's name:
    // attribute<Shape>("stride").
    template <typename T>
    T attribute(const char* name) const {
      tenon_value value{};
      detail::check(detail::host->attribute(&base_, name, &value, detail::error_sink));
      return detail::from_value<T>(value, name);
    }

   private:
    const tenon_base& base_;
  };

  // How a parameter starts, drawn from the host's seeded generator.
  struct Init {
    const char* name;
    double a = 0;
    double b = 0;

    static constexpr Init zeros() { return {"zeros"}; }
    static constexpr Init ones() { return {"ones"}; }
    static constexpr Init constant(double value) { return {"constant", value}; }
    static constexpr Init normal(double mean, double deviation) {
      return {"normal", mean, deviation};
    }
    static constexpr Init uniform(double from, double to) { return {"uniform", from, to}; }
    // torch.nn.init.kaiming_uniform_; a = sqrt(5) is what torch.nn.Linear and lora_A start with.
    static constexpr Init kaiming_uniform(double a = 2.2360679774997896964) {
      return {"kaiming_uniform", a};
    }
  };

  class Setup {
   public:
    Setup(const tenon_base& base, tenon_setup* setup) : base_(base), setup_(setup) {}

    const Base& base() const { return base_; }

    // A key of the method as it holds for this layer, or an option that the layer declares in
    // kOptions. bool for a key of modules: whether it means this layer.
    template <typename T>
    T option(const char* key) const {
      tenon_value value{};
      detail::check(detail::host->option(setup_, key, &value, detail::error_sink));
      return detail::from_value<T>(value, key);
    }

    // A key that is a table; empty where it is absent.
    Table table(const char* key) const {
      tenon_value value{};
      detail::check(detail::host->option(setup_, key, &value, detail::error_sink));
      return Table(value);
    }
    // What an option of several types is: TENON_VALUE_BOOL, TENON_VALUE_STRING, ...
    tenon_value_tag option_tag(const char* key) const {
      tenon_value value{};
      detail::check(detail::host->option(setup_, key, &value, detail::error_sink));
      return value.tag;
    }

    // Declares a parameter; its number is its place in Adapter::parameter(). dtype -1: the
    // adapter's own.
    std::uint32_t parameter(const std::string& name, const Shape& shape, Init init,
                            tenon_parameter_flags flags = TENON_PARAMETER_TRAINABLE,
                            std::int32_t dtype = -1) {
      return declare(name, shape, init, flags, dtype, nullptr);
    }
    // Declares a parameter that all layers of the adapter share; `shape` is what this one needs of
    // it, and the tensor is as large as the largest: see tenon_parameter.shared_key.
    std::uint32_t shared_parameter(const std::string& key, const Shape& shape, Init init,
                                   tenon_parameter_flags flags = TENON_PARAMETER_TRAINABLE) {
      return declare(key, shape, init, flags, -1, key.c_str());
    }

   private:
    std::uint32_t declare(const std::string& name, const Shape& shape, Init init,
                          tenon_parameter_flags flags, tenon_dtype dtype, const char* shared_key) {
      tenon_parameter declared{};
      declared.struct_size = sizeof declared;
      declared.flags = flags;
      declared.name = name.c_str();
      declared.shape = shape.data();
      declared.ndim = static_cast<std::uint32_t>(shape.size());
      declared.dtype = dtype;
      declared.init = init.name;
      declared.init_a = init.a;
      declared.init_b = init.b;
      declared.shared_key = shared_key;
      std::uint32_t index = 0;
      detail::check(detail::host->add_parameter(setup_, &declared, &index, detail::error_sink));
      return index;
    }

    Base base_;
    tenon_setup* setup_;
  };

  namespace detail {

  // Functions that only look at the options get a const view of the setup, which reads through a
  // non-const pointer.
  inline Setup looking_at(const tenon_base& base, const tenon_setup* setup) {
    return Setup(base, const_cast<tenon_setup*>(setup));
  }

  }  // namespace detail

}  // namespace tenon
