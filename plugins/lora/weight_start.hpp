// How A and B start where init_lora_weights names more than a distribution (PEFT:
// tuners/lora/layer.py, *_init): from the base's own weight W (out, in), which then keeps the rest
// W - s B A wherever the adapter is active, or as orthogonal matrices.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <tenon/sdk.hpp>

#include "lora/lora.hpp"

namespace lora {

inline bool starts_from_matrices(const tenon::Setup& setup) {
  const std::string init = start_of(setup);
  return init.rfind("pissa", 0) == 0 || init == "olora" || init == "orthogonal";
}

// The pair of a fully connected layer: as add_pair, but any start may be asked for; initialise then
// calls start_pair.
inline void add_linear_pair(tenon::Setup& setup, std::int64_t in, std::int64_t out) {
  const tenon::Shape a{layer_rank(setup), in};
  const tenon::Shape b{out, layer_rank(setup)};
  if (!starts_from_matrices(setup)) return add_pair(setup, a, b);
  const bool from_base = start_of(setup) != "orthogonal";
  if (from_base && layer_rank(setup) > std::min(in, out)) {
    throw tenon::Failure(TENON_UNSUPPORTED, "r = " + std::to_string(layer_rank(setup)) +
                                                " is more than the rank of the weight, " +
                                                std::to_string(std::min(in, out)) +
                                                "; give it a rank in rank_pattern");
  }
  if (!from_base && layer_rank(setup) % 2 != 0) {
    throw tenon::Failure(TENON_UNSUPPORTED,
                         "init_lora_weights = \"orthogonal\" needs an even rank, not " +
                             std::to_string(layer_rank(setup)));
  }
  setup.parameter("lora_A.weight", a, tenon::Init::zeros());
  setup.parameter("lora_B.weight", b, tenon::Init::zeros());
}

struct Pair {
  tenon::Tensor a, b;
};

inline tenon::Tensor part(const tenon::Tensor& x, std::int64_t dimension, std::int64_t start,
                          std::int64_t end, std::int64_t step = 1) {
  static const tenon::Operator slice("aten::slice", "Tensor");
  return slice(x, dimension, start, end, step);
}

// A = sqrt(S / s) V^T and B = U sqrt(S / s) of the r greatest singular values.
inline Pair from_svd(const tenon::Tensor& u, const tenon::Tensor& values, const tenon::Tensor& vt,
                     std::int64_t r, double s) {
  static const tenon::Operator sqrt("aten::sqrt");
  const tenon::Tensor roots = sqrt(part(values, 0, 0, r) * (1 / s));
  return {reshape(roots, {r, 1}) * part(vt, 0, 0, r), part(u, 1, 0, r) * reshape(roots, {1, r})};
}

inline std::vector<tenon::Tensor> svd(const tenon::Tensor& w) {
  static const tenon::Operator op("aten::linalg_svd");
  return op.results(3, w, false);
}

inline std::pair<tenon::Tensor, tenon::Tensor> qr(const tenon::Tensor& x) {
  static const tenon::Operator op("aten::linalg_qr");
  std::vector<tenon::Tensor> factors = op.results(2, x, "reduced");
  return {factors[0], factors[1]};
}

// The r greatest singular values by subspace iteration (Halko et al. 2009, algorithm 4.4). The
// start must be the same again when the adapter is loaded, so it is no random draw: a chirp, whose
// columns have nothing in common with each other.
inline Pair from_fast_svd(const tenon::Tensor& w, std::int64_t r, int iterations, double s) {
  static const tenon::Operator arange("aten::arange");
  static const tenon::Operator sine("aten::sin");
  const std::int64_t in = w.size(1);
  const tenon::Tensor count = arange(in * r, tenon::Dtype{TENON_DTYPE_FLOAT64});
  const tenon::Tensor chirp = tenon::on_device_of(
      w, reshape(with_dtype(sine(count * count * 0.7548776662), w.dtype()), {in, r}));
  const tenon::Tensor wt = transpose(w, 0, 1);
  tenon::Tensor q = qr(matmul(w, chirp)).first;
  for (int i = 0; i < iterations; ++i) {
    q = qr(matmul(w, qr(matmul(wt, q)).first)).first;
  }
  const std::vector<tenon::Tensor> small = svd(matmul(transpose(q, 0, 1), w));
  return from_svd(matmul(q, small[0]), small[1], small[2], r, s);
}

// Of the dtype and on the device of `like`.
inline tenon::Tensor normal(const tenon::Start& start, const tenon::Shape& shape,
                            const tenon::Tensor& like) {
  static const tenon::Operator randn("aten::randn", "generator");
  return tenon::on_device_of(like, randn(shape, start.generator(), tenon::Dtype{like.dtype()}));
}

inline Pair orthogonal(const tenon::Start& start, const tenon::Tensor& w, std::int64_t r) {
  const tenon::Tensor q = qr(normal(start, {r, r}, w)).first;
  const tenon::Tensor odd = part(q, 0, 0, r, 2);
  const tenon::Tensor even = part(q, 0, 1, r, 2);
  const tenon::Tensor a = matmul(normal(start, {w.size(1), r / 2}, w), odd);
  const tenon::Tensor b = matmul(normal(start, {w.size(0), r / 2}, w), even);
  return {transpose(a, 0, 1) * 0.1, b * 0.1};
}

struct Started {
  Pair pair;           // as it is now
  tenon::Tensor rest;  // the rows that the base keeps; empty if they stay what they are
};

// Starts A and B from the rows of the weight, where init_lora_weights says so.
inline Started start_pair(const tenon::Setup& setup, tenon::Start& start,
                          const tenon::Tensor& weight_rows) {
  if (!starts_from_matrices(setup)) return {{start.parameter(kA), start.parameter(kB)}, {}};
  const std::string init = start_of(setup);
  const std::int64_t r = layer_rank(setup);
  const double s = start.scaling();
  const std::int32_t dtype =
      weight_rows.dtype() == TENON_DTYPE_FLOAT64 ? TENON_DTYPE_FLOAT64 : TENON_DTYPE_FLOAT32;
  const tenon::Tensor w = with_dtype(weight_rows, dtype);
  Pair pair;
  if (init == "orthogonal") {
    pair = orthogonal(start, w, r);
  } else if (init == "olora") {
    const auto [q, upper] = qr(w);
    pair = {part(upper, 0, 0, r), part(q, 1, 0, r)};
  } else if (init == "pissa") {
    const std::vector<tenon::Tensor> factors = svd(w);
    pair = from_svd(factors[0], factors[1], factors[2], r, s);
  } else {
    const std::string prefix = "pissa_niter_";
    pair = from_fast_svd(w, r, std::stoi(init.substr(prefix.size())), s);
  }
  start.set_parameter(kA, pair.a);
  start.set_parameter(kB, pair.b);
  if (init == "orthogonal") return {pair, {}};
  return {pair, with_dtype(add(w, matmul(pair.b, pair.a), -s), weight_rows.dtype())};
}

}  // namespace lora
