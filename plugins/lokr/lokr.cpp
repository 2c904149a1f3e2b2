// LoKr: the update is a Kronecker product (Yeh et al. 2023, LyCORIS, arXiv:2309.14859; Edalati et
// al. 2022, KronA, arXiv:2212.10650; PEFT: tuners/lokr/layer.py):
//   W' = W + alpha / r * kron(w1, w2)
// The sizes of w1 and w2 multiply to those of W; each is whole, or w_a w_b of rank r where that is
// less (w1 only with decompose_both). w2 of a convolution has its kernel, with
// use_effective_conv2d in a core (see common/factors.hpp).
#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "common/factors.hpp"
#include "common/weight_layer.hpp"

namespace {

using tenon::Shape;
using tenon::Tensor;

constexpr const char* kStarts[] = {"lycoris"};

struct LoKr : tenon::Method<LoKr> {
  static constexpr tenon::method_type kMethod{.name = "lokr",
                                              .peft_type = "LOKR",
                                              .doc = "Updates that are Kronecker products.",
                                              .flags = TENON_METHOD_EXCLUDES | TENON_METHOD_LAYERS};
  static constexpr tenon_option kKeys[] = {
      tenon::option::patterned(tenon::option::integer("r", 8, {.minimum = 1},
                                                      "The rank of factors that are decomposed."),
                               "rank_pattern"),
      tenon::option::patterned(
          tenon::option::number("alpha", 8, {}, "The update is scaled by alpha / r."),
          "alpha_pattern"),
      tenon::option::number("rank_dropout", 0, {.minimum = 0, .maximum = 1},
                            "How many rows of the update are left out of a training step."),
      tenon::option::number("module_dropout", 0, {.minimum = 0, .maximum = 1},
                            "How often a layer's update is left out of a training step."),
      tenon::option::boolean("use_effective_conv2d", false,
                             "The kernel of a convolution is in a core of its own."),
      tenon::option::boolean("decompose_both", false, "The smaller factor may be decomposed too."),
      tenon::option::integer("decompose_factor", -1, {.minimum = -1},
                             "The size of the smaller factor; -1: near the square root."),
      tenon::option::boolean("rank_dropout_scale", false,
                             "The rows that rank_dropout leaves are scaled up."),
      tenon::option::either(
          tenon::option::boolean("init_weights", true, "Start as the base, else at random."),
          tenon::option::choice("init_weights", "lycoris", kStarts, ""))};

  static double scaling(const Setup& setup) {
    return setup.option<double>("alpha") / setup.option<double>("r");
  }
};

// Two numbers whose product is `size`, the smaller one first: `factor` if it divides, else the
// nearest to the square root that is at most `factor` (LyCORIS's factorization).
std::pair<std::int64_t, std::int64_t> factorise(std::int64_t size, std::int64_t factor) {
  if (factor > 0 && size % factor == 0) return {factor, size / factor};
  const std::int64_t most = factor == -1 ? size : factor;
  std::int64_t small = 1;
  for (std::int64_t next = 2; next <= most && next * next <= size; ++next) {
    if (size % next == 0) small = next;
  }
  return {small, size / small};
}

// How an adapter is laid out: w1 is (out1, in1), w2 (out2, in2, kernel...).
struct Layout {
  methods::UpdateDropout dropout;
  std::int64_t out1 = 0, out2 = 0, in1 = 0, in2 = 0;
  Shape kernel;
  bool whole1 = true;
  bool whole2 = true;
  bool has_core = false;

  Shape w2_shape() const {
    Shape shape = {out2, in2};
    shape.insert(shape.end(), kernel.begin(), kernel.end());
    return shape;
  }
};

Layout layout_of(const tenon::Setup& setup) {
  const Shape weight = setup.base().weight("weight").shape;
  const auto factor = setup.option<std::int64_t>("decompose_factor");
  const auto twice_r = 2 * setup.option<std::int64_t>("r");
  Layout layout;
  layout.dropout = methods::update_dropout(setup, setup.option<bool>("rank_dropout_scale"));
  std::tie(layout.out1, layout.out2) = factorise(weight[0], factor);
  std::tie(layout.in1, layout.in2) = factorise(weight[1], factor);
  layout.kernel.assign(weight.begin() + 2, weight.end());
  layout.whole1 =
      !setup.option<bool>("decompose_both") || twice_r >= std::max(layout.out1, layout.in1);
  layout.whole2 = twice_r >= std::max(layout.out2, layout.in2);
  layout.has_core = !layout.whole2 && methods::keeps_kernel(setup, weight);
  return layout;
}

// w1 and w2 from their parameters, in the order in which they are declared.
std::pair<Tensor, Tensor> factors(const tenon::Adapter& adapter, const Layout& layout) {
  std::uint32_t place = 0;
  const auto next = [&] { return adapter.parameter(place++); };
  const auto product = [&] {
    const Tensor a = next();
    return matmul(a, next());
  };
  const Tensor w1 = layout.whole1 ? next() : product();
  if (layout.whole2) return {w1, next()};
  if (!layout.has_core) return {w1, product()};
  const Tensor a = next();
  const Tensor b = next();
  return {w1, methods::with_core(next(), a, b)};
}

// kron(w1, w2), its dimensions still apart. w2 has two dimensions, or four with a kernel. Of a
// Conv1d it has three where it is whole, and there PEFT's product is over the last two: another
// one, but what its files mean.
Tensor kronecker(const Tensor& w1, const Tensor& w2) {
  Shape one = w1.shape();
  Shape two = w2.shape();
  if (two.size() == 3) {
    one = {1, one[0], 1, one[1], 1};
    two = {two[0], 1, two[1], 1, two[2]};
  } else {
    one = {one[0], 1, one[1], 1};
    one.resize(two.size() + 2, 1);
    two.insert(two.begin() + 1, 1);
    two.insert(two.begin(), 1);
  }
  return reshape(w1, one) * reshape(w2, two);
}

struct LoKrLayer : methods::AdditiveLayer<LoKrLayer> {
  static constexpr tenon::layer_type kType{
      .id = "tenon.lokr",
      .method = "lokr",
      .base = "torch.nn.Linear;torch.nn.Conv1d;torch.nn.Conv2d",
      .title = "lokr.Layer",
      .doc = "A Kronecker product as update."};

  static Layout prepare(const Setup& setup) { return layout_of(setup); }

  // One factor is zero at the start: the first, or as LyCORIS has it the second.
  static void add_adapter(Setup& setup) {
    const auto r = setup.option<std::int64_t>("r");
    const Layout layout = layout_of(setup);
    const auto drawn = tenon::Init::kaiming_uniform();
    const bool lycoris = setup.option_tag("init_weights") == TENON_VALUE_STRING;
    const bool starts_as_base = lycoris || setup.option<bool>("init_weights");
    const auto first = starts_as_base && !lycoris ? tenon::Init::zeros() : drawn;
    const auto second = lycoris ? tenon::Init::zeros() : drawn;
    if (layout.whole1) {
      setup.parameter("lokr_w1", {layout.out1, layout.in1}, first);
    } else {
      setup.parameter("lokr_w1_a", {layout.out1, r}, first);
      setup.parameter("lokr_w1_b", {r, layout.in1}, drawn);
    }
    if (layout.whole2) {
      setup.parameter("lokr_w2", layout.w2_shape(), second);
    } else if (layout.has_core) {
      setup.parameter("lokr_w2_a", {r, layout.out2}, drawn);
      setup.parameter("lokr_w2_b", {r, layout.in2}, second);
      setup.parameter("lokr_t2", methods::core_shape(r, setup.base().weight("weight").shape),
                      drawn);
    } else {
      setup.parameter("lokr_w2_a", {layout.out2, r}, drawn);
      setup.parameter("lokr_w2_b", {r, methods::columns(layout.w2_shape())}, second);
    }
  }

  static Tensor delta(const methods::Change& change) {
    const auto& layout = change.adapter.state<Layout>();
    const auto [w1, w2] = factors(change.adapter, layout);
    const Tensor update = kronecker(w1, w2) * change.adapter.scaling();
    return methods::after_dropout(reshape(update, change.weight.shape), layout.dropout,
                                  change.training);
  }
};

}  // namespace

TENON_PLUGIN("tenon.lokr", "1.0.0", LoKr, LoKrLayer)
