// The variants of LoRA that change a layer's parameters or its formula: a bias on B, and DoRA (Liu
// et al. 2024, arXiv:2402.09353; PEFT: tuners/lora/variants.py and dora.py).
//
// Formulas are those of a matrix W (out, in) with one row for each output; a layer whose weight is
// stored otherwise hands in its rows. DoRA:
//   y = b + m / ||W + s B A|| * (W x + s B A x),   the norm of each row, a constant to the
//   gradient.
// Several adapters act one after the other, each on the output so far (PEFT: lora/layer.py,
// Linear.forward), so that a DoRA scales what stands before it too.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include <tenon/sdk.hpp>

#include "lora/lora.hpp"

namespace lora {

// Behind A and B: the magnitude m, or the bias of B; PEFT has no layer with both.
constexpr std::uint32_t kMagnitude = 2;
constexpr std::uint32_t kBias = 2;

struct Variant : Dropout {
  bool dora = false;
  bool bias = false;
  bool beside = false;  // the base does more than its operator, of which the update knows nothing
  bool is_plain() const { return !dora && !bias; }
};

inline bool all_plain(const tenon::Call& call) {
  for (std::uint32_t i = 0; i < call.n_adapters(); ++i) {
    if (!call.adapter(i).state<Variant>().is_plain()) return false;
  }
  return true;
}

inline Variant variant_of(const tenon::Setup& setup) {
  return {{dropout_of(setup)},
          setup.option<bool>("use_dora"),
          setup.option<bool>("lora_bias"),
          setup.base().find_attribute<bool>("does_more").value_or(false)};
}

// Declares what the variant needs behind the pair; `magnitude` as PEFT shapes it.
inline void add_variant(tenon::Setup& setup, std::int64_t out, const tenon::Shape& magnitude) {
  const Variant variant = variant_of(setup);
  if (variant.dora) {
    setup.parameter("lora_magnitude_vector", magnitude, tenon::Init::zeros());
  }
  if (!variant.bias) return;
  const double bound =
      1 / std::sqrt(static_cast<double>(layer_rank(setup)));  // as torch.nn.Linear's
  const bool random = start_of(setup) == "random";
  setup.parameter("lora_B.bias", {out},
                  random ? tenon::Init::uniform(-bound, bound) : tenon::Init::zeros());
}

// The pair and what stands behind it, as PEFT's create_loraplus_optimizer parts them by their names
// and dimensions: `flat_magnitude` where the magnitude has one.
inline void group_variant(const tenon::Setup& setup, std::uint32_t parameter, bool flat_magnitude,
                          tenon::Group& group) {
  if (parameter < kMagnitude) return group_pair(parameter, group);
  const bool bias = variant_of(setup).bias;
  if (bias || flat_magnitude) group.flags |= TENON_GROUP_FAST;
  if (bias) group.flags |= TENON_GROUP_NO_DECAY;
}

inline tenon::Tensor detached(const tenon::Tensor& x) {
  static const tenon::Operator op("aten::detach");
  return op(x);
}

inline tenon::Tensor sum_of_rows(const tenon::Tensor& x) {
  static const tenon::Operator op("aten::sum", "dim_IntList");
  return op(x, tenon::Shape{1});
}

inline tenon::Tensor root(const tenon::Tensor& squares) {
  static const tenon::Operator clamp("aten::clamp_min");
  static const tenon::Operator sqrt("aten::sqrt");
  return sqrt(clamp(squares, 0.0));
}

// ||W + s B A|| of each row without the product B A:
//   ||W||^2 + 2 s <W, B A> + s^2 ||B A||^2,  <W, B A> = <W A^T, B>,  ||B A||^2 = <B (A A^T), B>.
inline tenon::Tensor row_norms(const tenon::Tensor& weight_rows, const tenon::Tensor& a_factor,
                               const tenon::Tensor& b_factor, double s) {
  const tenon::Tensor a = detached(a_factor);
  const tenon::Tensor b = detached(b_factor);
  const tenon::Tensor w = with_dtype(detached(weight_rows), a.dtype());
  const tenon::Tensor at = transpose(a, 0, 1);
  const tenon::Tensor cross = sum_of_rows(matmul(w, at) * b);
  const tenon::Tensor update = sum_of_rows(matmul(b, matmul(a, at)) * b);
  return root(add(add(sum_of_rows(w * w), cross, 2 * s), update, s * s));
}

// m / ||W + s B A||, one number for each output.
inline tenon::Tensor dora_scale(const tenon::Tensor& magnitude, const tenon::Tensor& norms) {
  return reshape(magnitude, {norms.size(0)}) / norms;
}

// y plus what one DoRA adapter adds to it: (scale - 1) * direct + scale * s * term. `along` shapes
// one number for each output to broadcast over y.
inline tenon::Tensor add_dora(const tenon::Tensor& y, const tenon::Tensor& direct,
                              const tenon::Tensor& term, const tenon::Tensor& scale, double s,
                              const tenon::Shape& along) {
  const tenon::Tensor factor = reshape(scale, along);
  const tenon::Tensor whole = factor * add(with_dtype(direct, term.dtype()), term, s);
  return with_dtype(with_dtype(y, term.dtype()) + (whole - with_dtype(direct, term.dtype())),
                    y.dtype());
}

// The output so far without the base's bias, which DoRA scales: W x, and what the adapters before
// this one have made of it. Where dropout has changed the input, W x of that input alone.
inline tenon::Tensor direct_output(const tenon::Call& call, const tenon::Adapter& adapter,
                                   const tenon::Tensor& y, const tenon::Tensor& x,
                                   const tenon::Shape& along) {
  const auto bias = call.base_info().find_weight("bias");
  if (!call.training() || adapter.state<Variant>().dropout == 0) {
    return bias ? y - reshape(call.weight(*bias), along) : y;
  }
  const tenon::Tensor weight = call.weight("weight");
  if (adapter.state<Variant>().beside) return linear(x, with_dtype(weight, x.dtype()));
  return call.base({with_dtype(x, call.input().dtype())},
                   without_bias(call, weight, bias ? call.weight(*bias).size(0) : 0))[0];
}

// The rows of the weight with one more adapter in them: DoRA scales what is there already too.
// `norms` are those of the base's own rows with this adapter's update alone.
inline tenon::Tensor merge_rows(const tenon::Tensor& merged, const tenon::Adapter& adapter,
                                const tenon::Tensor& delta, const tenon::Tensor& norms) {
  if (!adapter.state<Variant>().dora) return add_term(merged, delta, adapter.scaling());
  const tenon::Tensor scale = dora_scale(adapter.parameter(kMagnitude), norms);
  const tenon::Tensor whole = reshape(scale, {norms.size(0), 1}) *
                              add(with_dtype(merged, delta.dtype()), delta, adapter.scaling());
  return with_dtype(whole, merged.dtype());
}

// The bias with the adapters' biases in it, which a DoRA behind them scales as it scales their
// output; an undefined tensor if none has one. `norms_of(adapter)` as in merge_rows.
template <typename Norms>
tenon::Tensor merged_bias(const tenon::Call& call, const tenon::Weight& weight,
                          const Norms& norms_of) {
  tenon::Tensor added;
  for (const tenon::Adapter& adapter : call.adapters()) {
    const auto variant = adapter.state<Variant>();
    if (variant.bias) {
      const tenon::Tensor own = adapter.parameter(kBias) * adapter.scaling();
      added = added ? added + own : own;
    } else if (variant.dora && added) {
      added = added * dora_scale(adapter.parameter(kMagnitude), norms_of(adapter));
    }
  }
  return added ? add_term(call.weight(weight), added, 1) : tenon::Tensor();
}

// A bias of the base's that its own operator adds; one that a caller adds, or nobody, takes none.
inline void require_bias_to_merge(const tenon::Setup& setup) {
  if (!variant_of(setup).bias || setup.base().find_weight("bias")) return;
  throw tenon::Failure(TENON_UNSUPPORTED,
                       "the update has a bias (lora_bias), and the base adds none of its own");
}

}  // namespace lora
