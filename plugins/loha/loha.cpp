// LoHa: the update is an element-wise product of two low-rank ones (Hyeon-Woo et al. 2021, FedPara,
// arXiv:2108.06098; PEFT: tuners/loha/layer.py):
//   W' = W + alpha / r * (w1_a w1_b) * (w2_a w2_b)
// With use_effective_conv2d each factor of a convolution keeps its kernel in a core t (r, r, k...):
//   (w1_a, w1_b, t1) -> sum_ij t1[i, j, k] w1_a[i, out] w1_b[j, in]
#include <string>

#include "common/factors.hpp"
#include "common/weight_layer.hpp"

namespace {

using tenon::Shape;
using tenon::Tensor;

struct LoHa : tenon::Method<LoHa> {
  static constexpr tenon::method_type kMethod{
      .name = "loha",
      .peft_type = "LOHA",
      .doc = "Updates that are products of two low-rank matrices, element by element.",
      .flags = TENON_METHOD_EXCLUDES | TENON_METHOD_LAYERS};
  static constexpr tenon_option kKeys[] = {
      tenon::option::patterned(
          tenon::option::integer("r", 8, {.minimum = 1}, "The rank of each of the two factors."),
          "rank_pattern"),
      tenon::option::patterned(
          tenon::option::number("alpha", 8, {}, "The update is scaled by alpha / r."),
          "alpha_pattern"),
      tenon::option::number("rank_dropout", 0, {.minimum = 0, .maximum = 1},
                            "How many rows of the update are left out of a training step."),
      tenon::option::number("module_dropout", 0, {.minimum = 0, .maximum = 1},
                            "How often a layer's update is left out of a training step."),
      tenon::option::boolean("use_effective_conv2d", false,
                             "Factors of convolutions keep the kernel in a core of its own."),
      tenon::option::boolean("init_weights", true, "Start as the base, else at random.")};

  static double scaling(const Setup& setup) {
    return setup.option<double>("alpha") / setup.option<double>("r");
  }
};

struct State {
  methods::UpdateDropout dropout;
  bool has_core = false;
};

// Parameters of one factor, in the order in which they are declared.
Tensor factor(const tenon::Adapter& adapter, std::uint32_t first, bool has_core) {
  const Tensor a = adapter.parameter(first);
  const Tensor b = adapter.parameter(first + 1);
  return has_core ? methods::with_core(adapter.parameter(first + 2), a, b) : matmul(a, b);
}

struct LoHaLayer : methods::AdditiveLayer<LoHaLayer> {
  static constexpr tenon::layer_type kType{
      .id = "tenon.loha",
      .method = "loha",
      .base = "torch.nn.Linear;torch.nn.Conv1d;torch.nn.Conv2d",
      .title = "loha.Layer",
      .doc = "An element-wise product of two low-rank updates."};

  static State prepare(const Setup& setup) {
    return {methods::update_dropout(setup, true),
            methods::keeps_kernel(setup, setup.base().weight("weight").shape)};
  }

  static void add_adapter(Setup& setup) {
    const auto r = setup.option<std::int64_t>("r");
    const Shape weight = setup.base().weight("weight").shape;
    const bool has_core = methods::keeps_kernel(setup, weight);
    const bool starts_as_base = setup.option<bool>("init_weights");
    const auto drawn = tenon::Init::kaiming_uniform();
    for (const std::string name : {"hada_w1", "hada_w2"}) {
      const bool is_zero = starts_as_base && name == "hada_w2";
      setup.parameter(name + "_a", has_core ? Shape{r, weight[0]} : Shape{weight[0], r}, drawn);
      setup.parameter(name + "_b", {r, has_core ? weight[1] : methods::columns(weight)},
                      is_zero ? tenon::Init::zeros() : drawn);
      if (has_core) {
        setup.parameter("hada_t" + name.substr(6), methods::core_shape(r, weight), drawn);
      }
    }
  }

  static Tensor delta(const methods::Change& change) {
    const auto& state = change.adapter.state<State>();
    const std::uint32_t second = state.has_core ? 3 : 2;
    const Tensor product =
        factor(change.adapter, 0, state.has_core) * factor(change.adapter, second, state.has_core);
    return methods::after_dropout(reshape(product * change.adapter.scaling(), change.weight.shape),
                                  state.dropout, change.training);
  }
};

}  // namespace

TENON_PLUGIN("tenon.loha", "1.0.0", LoHa, LoHaLayer)
