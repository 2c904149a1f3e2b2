// BOFT: a rotation made of m sparse ones, as a butterfly, and a factor on each output (Liu et al.
// 2023, arXiv:2311.06243; PEFT: tuners/boft/layer.py):
//   W' = s * W (B_m ... B_1)^T, B_i = P_i blockdiag(R_i1, ..., R_ik) P_i^T
// R are Cayley's rotations of skew-symmetric matrices, P_i the permutation that brings together
// what B_i mixes.
#include <string>
#include <vector>

#include "common/matrix.hpp"
#include "common/rotation.hpp"
#include "common/weight_layer.hpp"

namespace {

using tenon::Shape;
using tenon::Tensor;

constexpr std::uint32_t kR = 0;
constexpr std::uint32_t kS = 1;

struct Boft : tenon::Method<Boft> {
  static constexpr tenon::method_type kMethod{
      .name = "boft",
      .peft_type = "BOFT",
      .doc = "Trained rotations in the form of butterflies.",
      .flags = TENON_METHOD_EXCLUDES | TENON_METHOD_LAYERS | TENON_METHOD_BIASES};
  static constexpr tenon_option kKeys[] = {
      tenon::option::integer("boft_block_size", 4, {.minimum = 0},
                             "The size of a block; 0: by boft_block_num."),
      tenon::option::integer("boft_block_num", 0, {.minimum = 0},
                             "How many blocks; 0: by boft_block_size."),
      tenon::option::integer("boft_n_butterfly_factor", 1, {.minimum = 1},
                             "How many sparse rotations make one."),
      tenon::option::number("boft_dropout", 0, {.minimum = 0, .maximum = 1},
                            "How many blocks are not rotated in a training step."),
      tenon::option::boolean("fan_in_fan_out", false,
                             "PEFT's; has no effect: a layer's type says how its weight lies."),
      tenon::option::boolean("init_weights", true, "Start as the base, else at random.")};
};

struct Blocks {
  std::int64_t size = 0;
  std::int64_t count = 0;
  std::int64_t factors = 1;
  double dropout = 0;
};

[[noreturn]] void refuse(const std::string& why) { throw tenon::Failure(TENON_UNSUPPORTED, why); }

Blocks blocks_of(const tenon::Setup& setup) {
  const std::int64_t columns = methods::columns(setup.base().weight("weight").shape);
  Blocks blocks;
  blocks.size = setup.option<std::int64_t>("boft_block_size");
  blocks.count = setup.option<std::int64_t>("boft_block_num");
  blocks.factors = setup.option<std::int64_t>("boft_n_butterfly_factor");
  blocks.dropout = setup.option<double>("boft_dropout");
  if ((blocks.size == 0) == (blocks.count == 0)) {
    refuse(
        "give one of boft_block_size and boft_block_num, and 0 for the other: they multiply to "
        "the size of the layer's input");
  }
  const std::int64_t given = blocks.size + blocks.count;
  if (columns % given != 0) {
    refuse("its input has " + std::to_string(columns) + " columns, which " + std::to_string(given) +
           " does not divide");
  }
  (blocks.size == 0 ? blocks.size : blocks.count) = columns / given;
  if (blocks.factors > 1) {
    const std::int64_t parts = blocks.factors > 62 ? 0 : std::int64_t{1} << (blocks.factors - 1);
    if (parts == 0 || blocks.count % parts != 0 || blocks.size % 2 != 0) {
      refuse(std::to_string(blocks.factors) +
             " butterfly factors need blocks of an even size, and a "
             "number of blocks that 2 to the power of " +
             std::to_string(blocks.factors - 1) + " divides; here are " +
             std::to_string(blocks.count) + " blocks of " + std::to_string(blocks.size));
    }
  }
  return blocks;
}

// Where the columns that the i-th factor mixes come from: within each run of 2^i blocks, the halves
// of blocks at even places, then those at odd ones.
std::vector<std::int64_t> butterfly(const Blocks& blocks, std::int64_t i) {
  const std::int64_t half = blocks.size / 2;
  const std::int64_t run = blocks.size << i;
  std::vector<std::int64_t> order;
  for (std::int64_t start = 0; start < blocks.size * blocks.count; start += run) {
    for (std::int64_t parity = 0; parity < 2; ++parity) {
      for (std::int64_t at = start + parity * half; at < start + run; at += blocks.size) {
        for (std::int64_t j = 0; j < half; ++j) order.push_back(at + j);
      }
    }
  }
  return order;
}

// matrix B_i^T.
Tensor apply_factor(const Tensor& matrix, const Tensor& rotations, const Blocks& blocks,
                    std::int64_t i) {
  if (blocks.factors == 1) return methods::rotate_columns(matrix, rotations);
  static const tenon::Operator select("aten::index_select");
  const std::vector<std::int64_t> order = butterfly(blocks, i);
  std::vector<std::int64_t> back(order.size());
  for (std::size_t place = 0; place < order.size(); ++place) {
    back[static_cast<std::size_t>(order[place])] = static_cast<std::int64_t>(place);
  }
  // P has its ones at (place, order[place]), so a matrix times P is taken by `back`.
  const Tensor gathered = select(matrix, std::int64_t{1}, methods::tensor_of(back, matrix));
  const Tensor rotated = methods::rotate_columns(gathered, rotations);
  return select(rotated, std::int64_t{1}, methods::tensor_of(order, matrix));
}

struct BoftLayer : methods::WeightLayer<BoftLayer> {
  static constexpr tenon::layer_type kType{.id = "tenon.boft",
                                           .method = "boft",
                                           .base = "torch.nn.Linear;torch.nn.Conv2d",
                                           .title = "boft.Layer",
                                           .doc = "A butterfly of rotations, and factors."};

  static void validate(const Setup& setup) {
    methods::refuse_groups(setup.base());
    blocks_of(setup);
  }
  static Blocks prepare(const Setup& setup) { return blocks_of(setup); }

  static void add_adapter(Setup& setup) {
    const Blocks blocks = blocks_of(setup);
    const Shape weight = setup.base().weight("weight").shape;
    const bool starts_as_base = setup.option<bool>("init_weights");
    setup.parameter("boft_R", {blocks.factors, blocks.count, blocks.size, blocks.size},
                    starts_as_base ? tenon::Init::zeros() : tenon::Init::normal(0, 0.1));
    setup.parameter("boft_s", weight.size() == 2 ? Shape{weight[0], 1} : Shape{1, weight[0]},
                    starts_as_base ? tenon::Init::ones() : tenon::Init::normal(1, 0.1));
  }

  static Tensor adapted(const methods::Change& change) {
    if (change.weight.name != "weight") return {};
    const auto& blocks = change.adapter.state<Blocks>();
    static const tenon::Operator select("aten::select", "int");
    static const tenon::Operator randint("aten::randint");
    std::int64_t dropped = -1;  // the one factor of which blocks are dropped
    if (change.training && blocks.dropout > 0) {
      const Tensor draw = randint(blocks.factors, Shape{1});
      dropped = *static_cast<const std::int64_t*>(draw.info().data);
    }
    Tensor matrix = methods::as_matrix(change.value);
    for (std::int64_t i = 0; i < blocks.factors; ++i) {
      const Tensor r = select(change.adapter.parameter(kR), std::int64_t{0}, i);
      Tensor rotations = methods::cayley((r - transpose(r, 1, 2)) * 0.5);
      if (i == dropped) rotations = methods::with_blocks_dropped(rotations, blocks.dropout);
      matrix = apply_factor(matrix, rotations, blocks, i);
    }
    const Tensor factors = reshape(change.adapter.parameter(kS), {-1, 1});
    return reshape(matrix * factors, change.weight.shape);
  }
};

}  // namespace

TENON_PLUGIN("tenon.boft", "1.0.0", Boft, BoftLayer)
