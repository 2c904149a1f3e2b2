// OFT: what enters a layer is rotated, block by block (Qiu et al. 2023, arXiv:2306.07280, and 2025,
// arXiv:2506.19847; PEFT: tuners/oft/layer.py):
//   y = W R x + b, or W' = W R, R block-diagonal; of an embedding the rows are rotated
// A block's rotation comes from a skew-symmetric Q by Cayley's formula, (I - Q) (I + Q)^-1, or by
// the start of its Neumann series.
#include <algorithm>
#include <cmath>
#include <string>

#include "common/matrix.hpp"
#include "common/rotation.hpp"
#include "common/weight_layer.hpp"

namespace {

using tenon::Shape;
using tenon::Tensor;

struct Oft : tenon::Method<Oft> {
  static constexpr tenon::method_type kMethod{
      .name = "oft",
      .peft_type = "OFT",
      .doc = "Trained rotations of a layer's input.",
      .flags = TENON_METHOD_EXCLUDES | TENON_METHOD_LAYERS | TENON_METHOD_BIASES};
  static constexpr tenon_option kKeys[] = {
      tenon::option::integer("r", 0, {.minimum = 0}, "How many blocks; 0: by oft_block_size."),
      tenon::option::integer("oft_block_size", 32, {.minimum = 0}, "The size of a block; 0: by r."),
      tenon::option::number("module_dropout", 0, {.minimum = 0, .maximum = 1},
                            "How many blocks are not rotated in a training step."),
      tenon::option::boolean("fan_in_fan_out", false,
                             "PEFT's; has no effect: a layer's type says how its weight lies."),
      tenon::option::boolean("init_weights", true, "Start as the base, else at random."),
      tenon::option::boolean("coft", false, "Rotations stay within eps of none."),
      tenon::option::number("eps", 6e-5, {.minimum = 0}, "How far coft lets a rotation go."),
      tenon::option::boolean("block_share", false, "All blocks of a layer have one rotation."),
      tenon::option::boolean("use_cayley_neumann", true,
                             "Rotations by the first terms of a series, not by an inverse."),
      tenon::option::integer("num_cayley_neumann_terms", 5, {.minimum = 1},
                             "How many terms of the series.")};

  static void after_step(tenon::TrainingRun& run);
};

// The number nearest to `wanted` that divides `size`, the smaller one where two are as near.
std::int64_t nearest_divisor(std::int64_t size, std::int64_t wanted) {
  if (wanted >= size) return size;
  std::int64_t above = wanted;
  while (size % above != 0) ++above;
  std::int64_t below = wanted;
  while (size % below != 0) --below;
  return wanted - below <= above - wanted ? below : above;
}

struct Blocks {
  std::int64_t size = 1;
  std::int64_t count = 1;
};

Blocks blocks_of(const tenon::Setup& setup) {
  const Shape weight = setup.base().weight("weight").shape;
  const std::int64_t columns = methods::columns(weight);
  const auto r = setup.option<std::int64_t>("r");
  const auto block_size = setup.option<std::int64_t>("oft_block_size");
  if ((r == 0) == (block_size == 0)) {
    throw tenon::Failure(TENON_UNSUPPORTED,
                         "give one of r and oft_block_size, and 0 for the other: they multiply to "
                         "the size of the layer's input");
  }
  if (r != 0) {
    const std::int64_t count = nearest_divisor(columns, r);
    return {columns / count, count};
  }
  const std::int64_t size = nearest_divisor(columns, block_size);
  return {size, columns / size};
}

struct State {
  std::int64_t block_size = 1;
  double dropout = 0;
  std::int64_t terms = 0;  // of the series; 0: Cayley's formula
  double limit = -1;       // of coft on the length of Q; below 0: none
};

// (blocks, n, n) from the upper triangles, row by row: (blocks, n (n - 1) / 2).
Tensor skew_symmetric(const Tensor& triangles, std::int64_t n) {
  static const tenon::Operator index_copy("aten::index_copy");
  std::vector<std::int64_t> places;
  for (std::int64_t row = 0; row < n; ++row) {
    for (std::int64_t column = row + 1; column < n; ++column) places.push_back(row * n + column);
  }
  const std::int64_t blocks = triangles.size(0);
  const Tensor flat = index_copy(methods::zeros({blocks, n * n}, triangles), std::int64_t{1},
                                 methods::tensor_of(places, triangles), triangles);
  const Tensor upper = reshape(flat, {blocks, n, n});
  return upper - transpose(upper, 1, 2);
}

// I + 2 Q + 2 Q^2 + ... + Q^n, as PEFT counts the terms.
Tensor neumann(const Tensor& skew, std::int64_t terms) {
  Tensor sum = methods::identity(skew.size(-1), skew) + methods::zeros_like(skew);
  if (terms > 1) sum = add(sum, skew, 2);
  if (terms > 2) {
    Tensor power = matmul(skew, skew);
    sum = add(sum, power, 2);
    for (std::int64_t i = 3; i < terms - 1; ++i) {
      power = matmul(power, skew);
      sum = add(sum, power, 2);
    }
    sum = sum + matmul(power, skew);
  }
  return sum;
}

// How much each block (blocks, 1, 1) is shortened to be no longer than the limit. Its length is
// that of Q, in which each element of the triangle stands twice.
Tensor shortening(const Tensor& triangles, double limit) {
  static const tenon::Operator clamp_max("aten::clamp_max");
  static const tenon::Operator detach("aten::detach");
  const Tensor length = methods::norm(detach(triangles), 1) * 1.4142135623730951;
  static const tenon::Operator full_like("aten::full_like");
  return clamp_max(full_like(length, limit) / methods::clamp_min(length, 1e-30), 1.0);
}

// coft keeps the parameter itself within the limit, as far as the gradient knows.
Tensor within_limit(const Tensor& triangles, double limit) {
  static const tenon::Operator detach("aten::detach");
  if (limit < 0) return triangles;
  const Tensor given = detach(triangles);
  return triangles + (given * shortening(triangles, limit) - given);
}

Tensor rotations(const tenon::Adapter& adapter, bool training) {
  const auto& state = adapter.state<State>();
  const Tensor triangles = within_limit(adapter.parameter(0), state.limit);
  const Tensor skew = skew_symmetric(triangles, state.block_size);
  const Tensor all = state.terms > 0 ? neumann(skew, state.terms) : methods::cayley(skew);
  const bool drops = training && state.dropout > 0 && all.size(0) > 1;
  return drops ? methods::with_blocks_dropped(all, state.dropout) : all;
}

State state_of(const tenon::Setup& setup) {
  const bool series = setup.option<bool>("use_cayley_neumann");
  const Blocks blocks = blocks_of(setup);
  const std::int64_t own = setup.option<bool>("block_share") ? 1 : blocks.count;
  return {blocks.size, setup.option<double>("module_dropout"),
          series ? setup.option<std::int64_t>("num_cayley_neumann_terms") : 0,
          setup.option<bool>("coft")
              ? setup.option<double>("eps") / std::sqrt(static_cast<double>(own))
              : -1};
}

void declare(tenon::Setup& setup, const char* name) {
  const Blocks blocks = blocks_of(setup);
  setup.parameter(
      name,
      {setup.option<bool>("block_share") ? 1 : blocks.count, blocks.size * (blocks.size - 1) / 2},
      setup.option<bool>("init_weights") ? tenon::Init::zeros() : tenon::Init::normal(0, 0.1));
}

void check(const tenon::Setup& setup) {
  methods::refuse_groups(setup.base());
  if (blocks_of(setup).size == 1) {
    throw tenon::Failure(TENON_UNSUPPORTED, "blocks of one column have no rotation");
  }
}

struct OftLayer : methods::WeightLayer<OftLayer> {
  static constexpr tenon::layer_type kType{.id = "tenon.oft",
                                           .method = "oft",
                                           .base = "torch.nn.Linear;torch.nn.Conv2d",
                                           .title = "oft.Layer",
                                           .doc = "Rotations of what the weight is applied to."};
  static constexpr bool kLastFirst = true;  // the first adapter is the first to see the input

  static void validate(const Setup& setup) { check(setup); }
  static State prepare(const Setup& setup) { return state_of(setup); }
  static void add_adapter(Setup& setup) { declare(setup, "oft_R.weight"); }

  static Tensor adapted(const methods::Change& change) {
    if (change.weight.name != "weight") return {};
    const Tensor matrix = methods::as_matrix(change.value);
    const Tensor rotated =
        methods::rotate_columns(matrix, rotations(change.adapter, change.training));
    return reshape(rotated, change.weight.shape);
  }
};

struct OftEmbedding : methods::WeightLayer<OftEmbedding> {
  static constexpr tenon::layer_type kType{.id = "tenon.oft-embedding",
                                           .method = "oft",
                                           .base = "torch.nn.Embedding",
                                           .title = "oft.Embedding",
                                           .doc = "Rotations of an embedding's rows."};

  static void validate(const Setup& setup) { check(setup); }
  static State prepare(const Setup& setup) { return state_of(setup); }
  static void add_adapter(Setup& setup) { declare(setup, "oft_embedding_R.weight"); }

  // The rows themselves are rotated, so the other way round.
  static Tensor adapted(const methods::Change& change) {
    if (change.weight.name != "weight") return {};
    return methods::rotate_columns(change.value,
                                   transpose(rotations(change.adapter, change.training), 1, 2));
  }
};

// coft's parameters go back within their limit.
void Oft::after_step(tenon::TrainingRun& run) {
  static const tenon::Operator shorten("aten::mul_", "Tensor");
  for (std::uint32_t i = 0; i < run.n_layers(); ++i) {
    const tenon::TrainingLayer layer = run.layer(i);
    const double limit = layer.state<State>().limit;
    if (limit >= 0) shorten(layer.parameter(0), shortening(layer.parameter(0), limit));
  }
}

}  // namespace

TENON_PLUGIN("tenon.oft", "1.0.0", Oft, OftLayer, OftEmbedding)
