// Methods that are functions of the base's weights: what one adapter makes of a weight is all that
// such a method says, and forward and merged_weight follow from it.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

#include <tenon/sdk.hpp>

#include "common/operators.hpp"

namespace methods {

// What an adapter changes.
struct Change {
  const tenon::Adapter& adapter;
  const tenon::Weight& weight;  // which
  Tensor base;                  // the base's own, in the adapter's precision
  Tensor value;                 // what the adapters before this one made of it
  bool training;
};

inline bool is_float(std::int32_t dtype) {
  return dtype == TENON_DTYPE_FLOAT32 || dtype == TENON_DTYPE_FLOAT64 ||
         dtype == TENON_DTYPE_FLOAT16 || dtype == TENON_DTYPE_BFLOAT16;
}

// The precision of the adapters: that of their first parameter, which must not be one of numbers
// of rows or the like.
inline std::int32_t precision_of(const tenon::Call& call) {
  const std::int32_t dtype = call.adapter(0).parameter(0).dtype();
  if (is_float(dtype)) return dtype;
  throw std::logic_error("plugin bug: its first parameter is of no float dtype");
}

inline bool runs_in(const tenon::Call& call, std::int32_t dtype) {
  for (const tenon::Weight& weight : call.base_info().weights()) {
    if (is_float(weight.dtype) && call.weight(weight).dtype() != dtype) return false;
  }
  return true;
}

inline std::vector<Tensor> inputs_in(const tenon::Call& call, std::int32_t dtype) {
  std::vector<Tensor> inputs = call.inputs();
  for (Tensor& x : inputs) {
    if (is_float(x.dtype())) x = with_dtype(x, dtype);
  }
  return inputs;
}

// The base with some weights replaced by tensors of the adapters' precision. A base of another
// precision runs in it where it is one operator, and is rounded once at its end, as in PEFT; the
// casts that a larger module may hold would not fit it, so there the weights are rounded.
inline tenon::Outputs run_on(const tenon::Call& call, std::vector<tenon::Replaced> replaced) {
  const std::int32_t dtype = precision_of(call);
  if (runs_in(call, dtype)) return call.base(call.inputs(), replaced);
  if (call.base_info().operator_name().empty()) {
    for (auto& [weight, tensor] : replaced)
      tensor = with_dtype(tensor, call.weight(weight).dtype());
    return call.base(call.inputs(), replaced);
  }
  const std::int32_t narrow = call.weight(replaced.front().first).dtype();
  for (const tenon::Weight& weight : call.base_info().weights()) {
    const auto is_it = [&](const tenon::Replaced& each) {
      return each.first.index == weight.index;
    };
    if (std::find_if(replaced.begin(), replaced.end(), is_it) != replaced.end()) continue;
    if (is_float(weight.dtype))
      replaced.emplace_back(weight, with_dtype(call.weight(weight), dtype));
  }
  tenon::Outputs outputs = call.base(inputs_in(call, dtype), replaced);
  for (std::size_t i = 0; i < outputs.size(); ++i) outputs[i] = with_dtype(outputs[i], narrow);
  return outputs;
}

// T gives `static Tensor adapted(const Change&)`: the weight under one adapter more, or {} where it
// stays as it is. A T whose adapters stand before the base, so that the last of them is next to its
// weight, says `static constexpr bool kLastFirst = true`.
template <typename T>
struct WeightLayer : tenon::Layer<T> {
  using Call = tenon::Call;
  using Weight = tenon::Weight;

  static tenon::Outputs forward(Call& call) {
    const std::int32_t dtype = precision_of(call);
    std::vector<tenon::Replaced> replaced;
    for (const Weight& weight : call.base_info().weights()) {
      if (!is_float(weight.dtype)) continue;
      Tensor value = folded(call, weight, with_dtype(call.weight(weight), dtype));
      if (value) replaced.emplace_back(weight, std::move(value));
    }
    return replaced.empty() ? call.base() : run_on(call, std::move(replaced));
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    return is_float(weight.dtype) ? folded(call, weight, call.weight(weight)) : Tensor();
  }

 private:
  static Tensor folded(const Call& call, const Weight& weight, const Tensor& base) {
    std::vector<tenon::Adapter> adapters = call.adapters();
    if constexpr (requires { T::kLastFirst; }) std::reverse(adapters.begin(), adapters.end());
    Tensor value = base;
    bool changed = false;
    for (const tenon::Adapter& adapter : adapters) {
      Tensor next = T::adapted({adapter, weight, base, value, call.training()});
      if (!next) continue;
      value = std::move(next);
      changed = true;
    }
    return changed ? value : Tensor();
  }
};

// T gives `static Tensor delta(const Change&)`: what one adapter adds to the weight "weight". A T
// with dropout on what enters the update gives `static double input_dropout(const
// tenon::Adapter&)`.
template <typename T>
struct AdditiveLayer : tenon::Layer<T> {
  using Call = tenon::Call;
  using Weight = tenon::Weight;

  static tenon::Outputs forward(Call& call) {
    const Weight weight = call.base_info().weight("weight");
    const std::int32_t dtype = precision_of(call);
    const bool one_run = runs_in(call, dtype) && !drops(call);
    const Tensor base = with_dtype(call.weight(weight), dtype);
    Tensor sum = base;
    tenon::Outputs outputs = one_run ? tenon::Outputs(Tensor()) : call.base();
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor delta = T::delta({adapter, weight, base, sum, call.training()});
      if (one_run) {
        sum = sum + delta;
      } else {
        Tensor& y = outputs[0];
        y = with_dtype(with_dtype(y, dtype) + run_update(call, adapter, weight, delta), y.dtype());
      }
    }
    return one_run ? call.base(call.inputs(), {{weight, sum}}) : std::move(outputs);
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (weight.name != "weight") return {};
    const Tensor base = call.weight(weight);
    Tensor sum = base;
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor delta = T::delta({adapter, weight, base, sum, call.training()});
      sum = sum + with_dtype(delta, sum.dtype());
    }
    return sum;
  }

 private:
  static double dropout_of(const tenon::Adapter& adapter) {
    if constexpr (requires { T::input_dropout(adapter); }) return T::input_dropout(adapter);
    return 0;
  }

  static bool drops(const Call& call) {
    for (const tenon::Adapter& adapter : call.adapters()) {
      if (call.training() && dropout_of(adapter) > 0) return true;
    }
    return false;
  }

  // The base on the update alone: without its bias.
  static Tensor run_update(const Call& call, const tenon::Adapter& adapter, const Weight& weight,
                           const Tensor& delta) {
    std::vector<Tensor> inputs = inputs_in(call, delta.dtype());
    const double p = call.training() ? dropout_of(adapter) : 0;
    if (p > 0) inputs[0] = dropout(inputs[0], p, true);
    std::vector<tenon::Replaced> replaced = {{weight, delta}};
    for (const Weight& other : call.base_info().weights()) {
      if (other.index == weight.index || !is_float(other.dtype)) continue;
      replaced.emplace_back(other, zeros(other.shape, delta));
    }
    return std::move(call.base(inputs, replaced)[0]);
  }
};

}  // namespace methods
