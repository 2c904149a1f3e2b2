// What fully connected layers share, whether their weight is stored as W (out, in) or transposed:
// every start, every variant.
#pragma once

#include <cstdint>

#include <tenon/sdk.hpp>

#include "lora_common/lora.hpp"
#include "lora_common/start.hpp"
#include "lora_common/variants.hpp"

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

// y with one adapter by plain operators: for bases that are not one aten::linear, for second
// adapters, for variants, and for adapters kept in another precision than the base, computed in
// theirs. `base` is the base's own output, `rows` its weight W.
inline tenon::Tensor with_adapter(const tenon::Call& call, const tenon::Adapter& adapter,
                                  const tenon::Tensor& y, const tenon::Tensor& base,
                                  const tenon::Tensor& rows) {
  const tenon::Tensor x = low_rank_input(call, adapter, call.input());
  const tenon::Tensor term = low_rank_term(adapter, x);
  if (!adapter.state<Variant>().dora) return add_term(y, term, adapter.scaling());
  const tenon::Tensor a = adapter.parameter(kA);
  const tenon::Tensor b = adapter.parameter(kB);
  const tenon::Shape along{b.size(0)};
  const tenon::Tensor norms = row_norms(rows, a, b, adapter.scaling());
  return add_dora(y, direct_output(call, adapter, base, x, along), term,
                  dora_scale(adapter.parameter(kMagnitude), norms), adapter.scaling(), along);
}

// The same for an adapter that works on some rows of the batch only: the low-rank path runs on
// those alone, if the adapter is plain.
inline tenon::Tensor with_adapter_on_its_rows(const tenon::Call& call,
                                              const tenon::Adapter& adapter, const tenon::Tensor& y,
                                              const tenon::Tensor& base,
                                              const tenon::Tensor& weight_rows) {
  const tenon::Tensor rows = adapter.rows();
  if (!rows) return with_adapter(call, adapter, y, base, weight_rows);
  static const tenon::Operator index_select("aten::index_select");
  static const tenon::Operator index_copy("aten::index_copy");
  tenon::Tensor part;
  if (adapter.state<Variant>().dora) {
    part = index_select(with_adapter(call, adapter, y, base, weight_rows), 0, rows);
  } else {
    const tenon::Tensor x = low_rank_input(call, adapter, index_select(call.input(), 0, rows));
    part = add_term(index_select(y, 0, rows), low_rank_term(adapter, x), adapter.scaling());
  }
  return index_copy(y, 0, rows, part);
}

// The rows of the weight with all adapters in them.
inline tenon::Tensor merged_rows(const tenon::Call& call, const tenon::Tensor& original) {
  require_bias_to_merge(call);
  tenon::Tensor merged = original;
  for (const tenon::Adapter& adapter : call.adapters()) {
    const tenon::Tensor a = adapter.parameter(kA);
    const tenon::Tensor b = adapter.parameter(kB);
    const tenon::Tensor norms = row_norms(original, a, b, adapter.scaling());
    merged = merge_rows(merged, original, adapter, matmul(b, a), norms);
  }
  return merged;
}

}  // namespace lora
