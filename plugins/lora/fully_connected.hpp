// What fully connected layers share, whether their weight is stored as W (out, in) or transposed:
// every start, every variant.
#pragma once

#include <cstdint>

#include <tenon/sdk.hpp>

#include "lora/lora.hpp"
#include "lora/variants.hpp"
#include "lora/weight_start.hpp"

namespace lora {

// Starts a fully connected layer whose weight is stored as W, or transposed.
inline void start_linear(const tenon::Setup& setup, tenon::Start& start, bool transposed) {
  const tenon::Tensor stored = start.weight("weight");
  const tenon::Tensor rows = transposed ? transpose(stored, 0, 1) : stored;
  const Started started = start_pair(setup, start, rows);
  if (started.rest) {
    static const tenon::Operator contiguous("aten::contiguous");
    start.set_weight("weight",
                     transposed ? contiguous(transpose(started.rest, 0, 1)) : started.rest);
  }
  if (!variant_of(setup).dora) return;
  start.set_parameter(kMagnitude, row_norms(started.rest ? started.rest : rows, started.pair.a,
                                            started.pair.b, start.scaling()));
}

// s B A x, or B's bias with it, of an input in A's precision.
inline tenon::Tensor low_rank_term(const tenon::Adapter& adapter, const tenon::Tensor& x) {
  const tenon::Tensor term = linear(linear(x, adapter.parameter(kA)), adapter.parameter(kB));
  return adapter.state<Variant>().bias ? term + adapter.parameter(kBias) : term;
}

// ||W + s B A|| of each row.
inline tenon::Tensor dora_norms(const tenon::Adapter& adapter, const tenon::Tensor& rows) {
  return row_norms(rows, adapter.parameter(kA), adapter.parameter(kB), adapter.scaling());
}

// y, the output so far, with one adapter by plain operators: for bases that are not one
// aten::linear, for second adapters, for variants, and for adapters kept in another precision than
// the base, computed in theirs. `rows` is the base's weight W.
inline tenon::Tensor with_adapter(const tenon::Call& call, const tenon::Adapter& adapter,
                                  const tenon::Tensor& y, const tenon::Tensor& rows) {
  const tenon::Tensor x =
      low_rank_input(call, adapter, call.input(), adapter.state<Variant>().dropout);
  const tenon::Tensor term = low_rank_term(adapter, x);
  if (!adapter.state<Variant>().dora) return add_term(y, term, adapter.scaling());
  const tenon::Shape along{adapter.parameter(kB).size(0)};
  return add_dora(y, direct_output(call, adapter, y, x, along), term,
                  dora_scale(adapter.parameter(kMagnitude), dora_norms(adapter, rows)),
                  adapter.scaling(), along);
}

// The rows of the weight with all adapters in them.
inline tenon::Tensor merged_rows(const tenon::Call& call, const tenon::Tensor& original) {
  tenon::Tensor merged = original;
  for (const tenon::Adapter& adapter : call.adapters()) {
    const tenon::Tensor delta = matmul(adapter.parameter(kB), adapter.parameter(kA));
    const bool dora = adapter.state<Variant>().dora;
    merged =
        merge_rows(merged, adapter, delta, dora ? dora_norms(adapter, original) : tenon::Tensor());
  }
  return merged;
}

// The bias likewise. `rows`: the base's own weight.
inline tenon::Tensor merged_bias_of(const tenon::Call& call, const tenon::Weight& weight,
                                    const tenon::Tensor& rows) {
  return merged_bias(call, weight,
                     [&](const tenon::Adapter& adapter) { return dora_norms(adapter, rows); });
}

}  // namespace lora
