// For layers that run as they are on updated weights, W + s * B A (PEFT: tuners/lora/layer.py,
// ParamWrapper): without a forward of their own, and without dropout, which needs the input of the
// product that the weight goes into.
//
// A matrix W (out, in) has A (r, in) and B (out, r). A stack W (n, out, in), as experts are kept,
// has A (n * r, in), item by item, and B (out, r * n), with the items innermost. Where the stack is
// transposed, W (n, in, out), A and B are the same.
#pragma once

#include <string>

#include <tenon/sdk.hpp>

#include "lora_common/lora.hpp"

namespace lora {

inline void refuse_dropout(const tenon::Setup& setup) {
  if (setup.option<double>("lora_dropout") == 0) return;
  throw tenon::Failure(TENON_UNSUPPORTED,
                       "lora_dropout is not possible here: the adapter changes the weight, and no "
                       "input passes through it; set it to 0");
}

// Declares the pair of one weight, named `prefix` + PEFT's names.
inline void add_weight_pair(tenon::Setup& setup, const tenon::Weight& weight,
                            const std::string& prefix, bool transposed = false) {
  tenon::Shape shape = weight.shape;
  if (shape.size() == 2) shape.insert(shape.begin(), 1);
  if (shape.size() != 3) {
    throw tenon::Failure(TENON_UNSUPPORTED, "`" + std::string(weight.name) + "` has " +
                                                std::to_string(shape.size()) +
                                                " dimensions, only 2 or 3 can be adapted");
  }
  const std::int64_t in = transposed ? shape[1] : shape[2];
  const std::int64_t out = transposed ? shape[2] : shape[1];
  add_pair(setup, {setup.r() * shape[0], in}, {out, setup.r() * shape[0]}, prefix);
}

// W + s * B A for a matrix.
inline tenon::Tensor updated_matrix(const tenon::Tensor& weight, const tenon::Tensor& a,
                                    const tenon::Tensor& b, double scaling) {
  static const tenon::Operator addmm("aten::addmm");
  const tenon::Tensor wide = with_dtype(weight, a.dtype());
  return with_dtype(addmm(wide, b, a, 1, scaling), weight.dtype());
}

inline tenon::Tensor updated_stack(const tenon::Tensor& weight, const tenon::Tensor& a,
                                   const tenon::Tensor& b, double scaling, bool transposed) {
  static const tenon::Operator baddbmm("aten::baddbmm");
  static const tenon::Operator permute("aten::permute");
  const std::int64_t n = weight.size(0);
  tenon::Tensor down = reshape(a, {n, -1, a.size(1)});                                // (n, r, in)
  tenon::Tensor up = permute(reshape(b, {b.size(0), -1, n}), tenon::Shape{2, 0, 1});  // (n, out, r)
  if (transposed) {
    std::swap(down, up);
    down = transpose(down, 1, 2);
    up = transpose(up, 1, 2);
  }
  const tenon::Tensor wide = with_dtype(weight, a.dtype());
  return with_dtype(baddbmm(wide, up, down, 1, scaling), weight.dtype());
}

// The weight with all adapters' updates, whose pairs stand at `first` among their parameters;
// `factor` goes on top of each adapter's scaling.
inline tenon::Tensor updated(const tenon::Call& call, const tenon::Weight& weight,
                             std::uint32_t first, bool transposed = false, double factor = 1) {
  tenon::Tensor sum = call.weight(weight);
  for (const tenon::Adapter& adapter : call.adapters()) {
    const tenon::Tensor a = adapter.parameter(first + kA);
    const tenon::Tensor b = adapter.parameter(first + kB);
    const double scaling = factor * adapter.scaling();
    sum = weight.shape.size() == 2 ? updated_matrix(sum, a, b, scaling)
                                   : updated_stack(sum, a, b, scaling, transposed);
  }
  return sum;
}

// A layer type that updates some of its base's weights: those for which `Type::is_adapted(weight)`
// holds, each with a pair named after it ("weight_ih_l0.lora_A.weight").
template <typename Type>
struct WeightsLayer : tenon::Layer<Type> {
  static void validate(const tenon::Setup& setup) {
    refuse_dropout(setup);
    for (const tenon::Weight& weight : setup.base().weights()) {
      if (Type::is_adapted(weight)) return;
    }
    throw tenon::Failure(TENON_UNSUPPORTED, "the layer has none of the weights to adapt");
  }

  static void add_adapter(tenon::Setup& setup) {
    for (const tenon::Weight& weight : setup.base().weights()) {
      if (!Type::is_adapted(weight)) continue;
      add_weight_pair(setup, weight, std::string(weight.name) + ".",
                      Type::is_transposed(setup.base()));
    }
  }

  static tenon::Tensor merged_weight(tenon::Call& call, const tenon::Weight& weight) {
    if (!Type::is_adapted(weight)) return {};
    std::uint32_t first = 0;
    for (std::uint32_t i = 0; i < weight.index; ++i) {
      if (Type::is_adapted(call.base_info().weight_at(i))) first += 2;
    }
    return updated(call, weight, first, Type::is_transposed(call.base_info()));
  }

  static bool is_transposed(const tenon::Base&) { return false; }
};

}  // namespace lora
