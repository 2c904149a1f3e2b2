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

inline bool all_plain(const tenon::Call& call) {
  for (std::uint32_t i = 0; i < call.n_adapters(); ++i) {
    if (!call.adapter(i).state<Variant>().is_plain()) return false;
  }
  return true;
}

// y with one adapter by plain operators: for bases that are not one aten::linear, for second
// adapters, for variants, and for adapters kept in another precision than the base, computed in
// theirs. `base` is the base's own output, `rows` its weight W.
inline tenon::Tensor with_adapter(const tenon::Call& call, const tenon::Adapter& adapter,
                                  const tenon::Tensor& y, const tenon::Tensor& base,
                                  const tenon::Tensor& rows) {
  const tenon::Tensor x = low_rank_input(call, adapter, call.input());
  const tenon::Tensor a = adapter.parameter(kA);
  const tenon::Tensor b = adapter.parameter(kB);
  tenon::Tensor term = linear(linear(x, a), b);
  const auto variant = adapter.state<Variant>();
  if (variant.bias) term = term + adapter.parameter(kBias);
  if (!variant.dora) return add_term(y, term, adapter.scaling());
  const tenon::Shape along{b.size(0)};
  const tenon::Tensor norms = row_norms(rows, a, b, adapter.scaling());
  return add_dora(y, direct_output(call, adapter, base, x, along), term,
                  dora_scale(adapter.parameter(kMagnitude), norms), adapter.scaling(), along);
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
