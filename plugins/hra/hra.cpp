// HRA: the weight is multiplied by r reflections, one after the other (Yuan et al. 2024,
// arXiv:2405.17484; PEFT: tuners/hra/layer.py):
//   W' = W (I - 2 u_1 u_1^T) ... (I - 2 u_r u_r^T), each u of length 1
// With apply_GS the columns are made orthogonal first (Gram-Schmidt).
#include "common/matrix.hpp"
#include "common/weight_layer.hpp"

namespace {

using tenon::Shape;
using tenon::Tensor;

struct Hra : tenon::Method<Hra> {
  static constexpr tenon::method_type kMethod{
      .name = "hra",
      .peft_type = "HRA",
      .doc = "Chains of trained Householder reflections.",
      .flags = TENON_METHOD_EXCLUDES | TENON_METHOD_LAYERS | TENON_METHOD_BIASES};
  static constexpr tenon_option kKeys[] = {
      tenon::option::integer("r", 8, {.minimum = 1},
                             "How many reflections; even, to start as the base."),
      tenon::option::boolean("apply_GS", false, "The reflections are made orthogonal."),
      tenon::option::boolean("init_weights", true,
                             "Start with pairs of equal reflections, else at random.")};
};

struct State {
  bool orthogonal = false;
};

// Column i of u, less what the columns before it hold, at length 1.
Tensor direction(const Tensor& u, std::int64_t i, const Tensor& before) {
  Tensor column = methods::narrow(u, 1, i, 1);
  if (before) column = column - matmul(before, matmul(transpose(before, 0, 1), column));
  return column / methods::norm(column, 0);
}

struct HraLayer : methods::WeightLayer<HraLayer> {
  static constexpr tenon::layer_type kType{.id = "tenon.hra",
                                           .method = "hra",
                                           .base = "torch.nn.Linear;torch.nn.Conv2d",
                                           .title = "hra.Layer",
                                           .doc = "Reflections of what the weight is applied to."};

  static State prepare(const Setup& setup) { return {setup.option<bool>("apply_GS")}; }

  static void validate(const Setup& setup) { methods::refuse_groups(setup.base()); }

  static void add_adapter(Setup& setup) {
    setup.parameter(
        "hra_u",
        {methods::columns(setup.base().weight("weight").shape), setup.option<std::int64_t>("r")},
        tenon::Init::kaiming_uniform());
  }

  // Two equal reflections are none. Orthogonal ones cannot be equal, and never start as the base.
  static void initialise(const Setup& setup, Start& start) {
    const auto r = setup.option<std::int64_t>("r");
    if (!setup.option<bool>("init_weights") || r % 2 != 0 || setup.option<bool>("apply_GS")) return;
    static const tenon::Operator repeat("aten::repeat_interleave", "self_int");
    // kaiming_uniform_ of half the columns has a bound that is the root of two times as large.
    const Tensor half = methods::narrow(start.parameter(0), 1, 0, r / 2) * 1.4142135623730951;
    start.set_parameter(0, repeat(half, std::int64_t{2}, std::int64_t{1}));
  }

  static Tensor adapted(const methods::Change& change) {
    if (change.weight.name != "weight") return {};
    const Tensor u = change.adapter.parameter(0);
    const bool orthogonal = change.adapter.state<State>().orthogonal;
    Tensor matrix = methods::as_matrix(change.value);
    std::vector<Tensor> directions;
    for (std::int64_t i = 0; i < u.size(1); ++i) {
      const bool after_others = orthogonal && !directions.empty();
      const Tensor ui = direction(u, i, after_others ? methods::cat(directions, 1) : Tensor());
      matrix = add(matrix, matmul(matmul(matrix, ui), transpose(ui, 0, 1)), -2);
      directions.push_back(ui);
    }
    return reshape(matrix, change.weight.shape);
  }
};

}  // namespace

TENON_PLUGIN("tenon.hra", "1.0.0", Hra, HraLayer)
