// DeLoRA: a low-rank update whose strength is trained apart from its directions (Bini et al. 2025,
// arXiv:2503.18225; PEFT: tuners/delora/layer.py):
//   W' = W + B diag(lambda / r / (|A_i| |B_i|)) A * |W_j|, |W_j| the length of column j at the
//   start
#include "common/weight_layer.hpp"

namespace {

using tenon::Shape;

constexpr std::uint32_t kA = 0;
constexpr std::uint32_t kB = 1;
constexpr std::uint32_t kLambda = 2;
constexpr std::uint32_t kColumns = 3;

struct DeLora : tenon::Method<DeLora> {
  static constexpr tenon::method_type kMethod{
      .name = "delora",
      .peft_type = "DELORA",
      .doc = "Low-rank updates with strength and direction apart.",
      .flags = TENON_METHOD_EXCLUDES | TENON_METHOD_LAYERS | TENON_METHOD_BIASES};
  static constexpr tenon_option kKeys[] = {
      tenon::option::patterned(
          tenon::option::integer("r", 8, {.minimum = 1}, "The rank of the update."),
          "rank_pattern"),
      tenon::option::patterned(
          tenon::option::number("delora_lambda", 15, {}, "The strength at the start."),
          "lambda_pattern"),
      tenon::option::number("module_dropout", 0, {.minimum = 0, .maximum = 1},
                            "Dropout on what enters the update."),
      tenon::option::boolean("init_weights", true, "Start as the base, else at random.")};
};

struct State {
  double dropout = 0;
};

struct DeLoraLinear : methods::AdditiveLayer<DeLoraLinear> {
  static constexpr tenon::layer_type kType{.id = "tenon.delora",
                                           .method = "delora",
                                           .base = "torch.nn.Linear",
                                           .title = "delora.Linear",
                                           .doc = "A low-rank update of trained strength."};

  static State prepare(const Setup& setup) { return {setup.option<double>("module_dropout")}; }

  static void add_adapter(Setup& setup) {
    const auto r = setup.option<std::int64_t>("r");
    const Shape weight = setup.base().weight("weight").shape;
    const auto drawn = tenon::Init::kaiming_uniform();
    setup.parameter("delora_A", {r, weight[1]}, drawn);
    setup.parameter("delora_B", {weight[0], r},
                    setup.option<bool>("init_weights") ? tenon::Init::zeros() : drawn);
    setup.parameter("delora_lambda", {1},
                    tenon::Init::constant(setup.option<double>("delora_lambda")));
    setup.parameter("delora_w_norm", {weight[1]}, tenon::Init::ones(), TENON_PARAMETER_BUFFER);
  }

  static void initialise(const Setup&, Start& start) {
    const Tensor lengths = methods::norm(start.weight("weight"), 0);
    start.set_parameter(kColumns, reshape(lengths, {-1}));
  }

  static double input_dropout(const tenon::Adapter& adapter) {
    return adapter.state<State>().dropout;
  }

  static Tensor delta(const methods::Change& change) {
    const Tensor a = change.adapter.parameter(kA);
    const Tensor b = change.adapter.parameter(kB);
    const Tensor lengths = methods::clamp_min(reshape(methods::norm(a, 1), {1, -1}), 1e-4) *
                           methods::clamp_min(methods::norm(b, 0), 1e-4);
    const double share = 1 / static_cast<double>(a.size(0));
    const Tensor strengths = change.adapter.parameter(kLambda) * share / lengths;
    return matmul(b * strengths, a) * change.adapter.parameter(kColumns);
  }
};

}  // namespace

TENON_PLUGIN("tenon.delora", "1.0.0", DeLora, DeLoraLinear)
