// For layers that run as they are on updated weights, W + s * B A (PEFT: tuners/lora/layer.py,
// ParamWrapper): without a forward of their own, and without dropout, which needs the input of the
// product that the weight goes into.
//
// A matrix W (out, in) has A (r, in) and B (out, r). A stack W (n, out, in), as experts are kept,
// has A (n * r, in), item by item, and B (out, r * n), with the items innermost. Where the stack is
// transposed, W (n, in, out), A and B are the same. A stack of stacks, W (n, m, ..., out, in),
// which PEFT refuses, is one of n * m * ... matrices.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <tenon/sdk.hpp>

#include "lora/lora.hpp"

namespace lora {

inline void refuse_dropout(const tenon::Setup& setup) {
  if (setup.option<double>("lora_dropout") == 0) return;
  throw tenon::Failure(TENON_UNSUPPORTED,
                       "lora_dropout is not possible here: the adapter changes the weight, and no "
                       "input passes through it; set it to 0");
}

// A weight that the config names by itself has its own r and lora_alpha.
inline std::string own_key(const tenon::Weight& weight, const char* key) {
  return (weight.is_target ? std::string(weight.name) + "." : "") + key;
}
inline std::int64_t rank_of(const tenon::Setup& setup, const tenon::Weight& weight) {
  return setup.option<std::int64_t>(own_key(weight, "r").c_str());
}

// What the weight's update is multiplied with on top of the adapter's scaling, which is that of the
// layer's r and lora_alpha.
inline double factor_of(const tenon::Setup& setup, const tenon::Weight& weight) {
  const auto alpha = setup.option<double>("lora_alpha");
  const auto own_alpha = setup.option<double>(own_key(weight, "lora_alpha").c_str());
  if (alpha == 0 && own_alpha == 0) return 1;
  if (alpha == 0) {
    throw tenon::Failure(TENON_UNSUPPORTED,
                         "`" + std::string(weight.name) +
                             "` has a lora_alpha, and the first of the parameters to adapt has 0, "
                             "which leaves it nothing to train; leave that one out");
  }
  const double ranks =
      static_cast<double>(layer_rank(setup)) / static_cast<double>(rank_of(setup, weight));
  return own_alpha / alpha * (setup.option<bool>("use_rslora") ? std::sqrt(ranks) : ranks);
}

// (matrices, rows, columns) of a matrix or a stack of them.
inline tenon::Shape as_stack(const tenon::Shape& shape) {
  tenon::Shape stack{1, shape[shape.size() - 2], shape[shape.size() - 1]};
  for (std::size_t i = 0; i + 2 < shape.size(); ++i) stack[0] *= shape[i];
  return stack;
}

// Declares the pair of one weight, named `prefix` + PEFT's names.
inline void add_weight_pair(tenon::Setup& setup, const tenon::Weight& weight,
                            const std::string& prefix, bool transposed = false) {
  if (weight.shape.size() < 2) {
    throw tenon::Failure(TENON_UNSUPPORTED, "`" + std::string(weight.name) + "` has " +
                                                std::to_string(weight.shape.size()) +
                                                " dimensions, only 2 or more can be adapted");
  }
  const tenon::Shape shape = as_stack(weight.shape);
  const std::int64_t in = transposed ? shape[1] : shape[2];
  const std::int64_t out = transposed ? shape[2] : shape[1];
  const std::int64_t rank = rank_of(setup, weight);
  add_pair(setup, rank, {rank * shape[0], in}, {out, rank * shape[0]}, prefix);
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

// The weight with one adapter's update, whose pair stands at `first` among its parameters; `factor`
// goes on top of the adapter's scaling.
inline tenon::Tensor updated(const tenon::Tensor& weight, const tenon::Adapter& adapter,
                             std::uint32_t first, double factor, bool transposed = false) {
  const tenon::Tensor a = adapter.parameter(first + kA);
  const tenon::Tensor b = adapter.parameter(first + kB);
  const double scaling = factor * adapter.scaling();
  const tenon::Shape shape = weight.shape();
  if (shape.size() == 2) return updated_matrix(weight, a, b, scaling);
  const tenon::Tensor stack = reshape(weight, as_stack(shape));
  return reshape(updated_stack(stack, a, b, scaling, transposed), shape);
}

// A layer type that updates some of its base's weights: those for which `Type::is_adapted(weight)`
// holds, each with a pair named after it ("weight_ih_l0.lora_A.weight").
template <typename Type>
struct WeightsLayer : tenon::Layer<Type> {
  static void validate(const tenon::Setup& setup) {
    refuse_dropout(setup);
    const std::vector<tenon::Weight> weights = setup.base().weights();
    if (std::none_of(weights.begin(), weights.end(), Type::is_adapted)) {
      throw tenon::Failure(TENON_UNSUPPORTED, "the layer has none of the weights to adapt");
    }
    prepare(setup);
  }

  // By weight: its factor.
  static std::vector<double> prepare(const tenon::Setup& setup) {
    std::vector<double> factors;
    factors.reserve(setup.base().weights().size());
    for (const tenon::Weight& weight : setup.base().weights()) {
      factors.push_back(factor_of(setup, weight));
    }
    return factors;
  }

  static void add_adapter(tenon::Setup& setup) {
    for (const tenon::Weight& weight : setup.base().weights()) {
      if (!Type::is_adapted(weight)) continue;
      add_weight_pair(setup, weight, std::string(weight.name) + ".",
                      Type::is_transposed(setup.base()));
    }
  }

  static void group(const tenon::Setup&, std::uint32_t parameter, tenon::Group& group) {
    group_pair(parameter, group);
  }

  static tenon::Tensor merged_weight(tenon::Call& call, const tenon::Weight& weight) {
    if (!Type::is_adapted(weight)) return {};
    std::uint32_t first = 0;
    for (std::uint32_t i = 0; i < weight.index; ++i) {
      if (Type::is_adapted(call.base_info().weight_at(i))) first += 2;
    }
    tenon::Tensor sum = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const double factor = adapter.state<std::vector<double>>()[weight.index];
      sum = updated(sum, adapter, first, factor, Type::is_transposed(call.base_info()));
    }
    return sum;
  }

  static bool is_transposed(const tenon::Base&) { return false; }
};

}  // namespace lora
