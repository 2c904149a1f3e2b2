// Batches whose rows have different adapters: those that are alike make one batched product, so
// that a batch with an adapter for each row costs a few operators a layer, not a few for each
// adapter.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include <tenon/sdk.hpp>

#include "lora/fully_connected.hpp"

namespace lora {

// What adapters of one batched product have in common: rank, number of rows, precision, bias,
// dropout, scaling.
using Likeness = std::tuple<std::int64_t, std::int64_t, std::int32_t, bool, double, double>;

inline tenon::Tensor index_select(const tenon::Tensor& x, const tenon::Tensor& rows) {
  static const tenon::Operator op("aten::index_select");
  return op(x, 0, rows);
}
inline tenon::Tensor index_copy(const tenon::Tensor& y, const tenon::Tensor& rows,
                                const tenon::Tensor& part) {
  static const tenon::Operator op("aten::index_copy");
  return op(y, 0, rows, part);
}

inline Likeness likeness_of(const tenon::Adapter& adapter) {
  const auto variant = adapter.state<Variant>();
  const tenon::Tensor a = adapter.parameter(kA);
  return {a.size(0),    adapter.rows().size(0), a.dtype(),
          variant.bias, variant.dropout,        adapter.scaling()};
}

// One parameter of each adapter: (adapters, ...).
inline tenon::Tensor stacked(const std::vector<tenon::Adapter>& adapters, std::uint32_t parameter) {
  static const tenon::Operator stack("aten::stack");
  std::vector<tenon_tensor> tensors;
  for (const tenon::Adapter& adapter : adapters) {
    tensors.push_back(adapter.parameter(parameter).handle());
  }
  return stack(tensors, std::int64_t{0});
}

// y with plain adapters that are alike, each on its own rows.
inline tenon::Tensor with_alike(const tenon::Call& call,
                                const std::vector<tenon::Adapter>& adapters,
                                const tenon::Tensor& y) {
  static const tenon::Operator cat("aten::cat");
  static const tenon::Operator bmm("aten::bmm");
  std::vector<tenon_tensor> numbers;
  for (const tenon::Adapter& adapter : adapters) numbers.push_back(adapter.rows().handle());
  const tenon::Tensor rows = cat(numbers, std::int64_t{0});
  const auto variant = adapters[0].state<Variant>();
  const tenon::Tensor x =
      low_rank_input(call, adapters[0], index_select(call.input(), rows), variant.dropout);
  // The rows lie adapter by adapter: (adapters, rows of each, in).
  const tenon::Shape by_adapter{static_cast<std::int64_t>(adapters.size()), -1, x.size(-1)};
  tenon::Tensor term = bmm(bmm(reshape(x, by_adapter), transpose(stacked(adapters, kA), 1, 2)),
                           transpose(stacked(adapters, kB), 1, 2));
  if (variant.bias) {
    const tenon::Tensor bias = stacked(adapters, kBias);
    term = term + reshape(bias, {bias.size(0), 1, bias.size(1)});
  }
  const tenon::Tensor part = index_select(y, rows);
  return index_copy(y, rows, add_term(part, reshape(term, part.shape()), adapters[0].scaling()));
}

// y, what the base and the adapters before number `first` gave, with the others, each on its rows.
// `weight_rows` is the base's weight W.
inline tenon::Tensor with_adapters(const tenon::Call& call, std::uint32_t first, tenon::Tensor y,
                                   const tenon::Tensor& weight_rows) {
  std::map<Likeness, std::vector<tenon::Adapter>> alike;
  for (std::uint32_t i = first; i < call.n_adapters(); ++i) {
    const tenon::Adapter adapter = call.adapter(i);
    if (!adapter.rows()) {
      y = with_adapter(call, adapter, y, weight_rows);
    } else if (adapter.state<Variant>().dora) {
      const tenon::Tensor all = with_adapter(call, adapter, y, weight_rows);
      y = index_copy(y, adapter.rows(), index_select(all, adapter.rows()));
    } else {
      alike[likeness_of(adapter)].push_back(adapter);
    }
  }
  for (const auto& [likeness, adapters] : alike) y = with_alike(call, adapters, y);
  return y;
}

}  // namespace lora
