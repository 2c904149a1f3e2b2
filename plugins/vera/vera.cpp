// VeRA: two random matrices that all layers share, and trained factors between and behind them
// (Kopiczko et al. 2023, arXiv:2310.11454; PEFT: tuners/vera/layer.py, model.py):
//   W' = W + diag(lambda_b) B diag(lambda_d) A
// A and B are as large as the largest layer, and each layer takes its part of them. They are drawn
// from projection_prng_key with PyTorch's numbers, and saved.
#include <cmath>
#include <vector>

#include "common/matrix.hpp"
#include "common/weight_layer.hpp"

namespace {

using tenon::Shape;
using tenon::Tensor;

constexpr std::uint32_t kLambdaB = 0;
constexpr std::uint32_t kLambdaD = 1;
constexpr std::uint32_t kA = 2;
constexpr std::uint32_t kB = 3;

struct Vera : tenon::Method<Vera> {
  static constexpr tenon::method_type kMethod{.name = "vera",
                                              .peft_type = "VERA",
                                              .doc = "Trained scales of shared random projections.",
                                              .flags = TENON_METHOD_BIASES};
  static constexpr tenon_option kKeys[] = {
      tenon::option::integer("r", 256, {.minimum = 1}, "The size between the projections."),
      tenon::option::number("d_initial", 0.1, {}, "The start of lambda_d."),
      tenon::option::number("vera_dropout", 0, {.minimum = 0, .maximum = 1},
                            "Dropout on what enters the update."),
      tenon::option::integer("projection_prng_key", 0, {.minimum = 0, .maximum = 4294967295},
                             "The seed of the projections."),
      tenon::option::boolean("save_projection", true, "Whether the file holds the projections."),
      tenon::option::boolean("fan_in_fan_out", false,
                             "PEFT's; has no effect: a layer's type says how its weight lies."),
      tenon::option::boolean("init_weights", true, "Start as the base, else at random.")};
};

struct State {
  double dropout = 0;
  bool turns = false;
};

// (out, in), whichever way the weight is stored.
Shape sizes_of(const tenon::Base& base) {
  const Shape weight = base.weight("weight").shape;
  return methods::is_stored_transposed(base) ? Shape{weight[1], weight[0]} : weight;
}

// kaiming_uniform_ of a projection.
Tensor projection(const tenon::Generator& generator, const Tensor& like) {
  static const tenon::Operator uniform("aten::uniform_");
  const std::vector<float> nothing(static_cast<std::size_t>(like.info().elements));
  const Tensor made = tenon::tensor_from(nothing, like.shape());
  const double bound =
      std::sqrt(3.0) * (std::sqrt(2.0) / std::sqrt(static_cast<double>(like.size(1))));
  return tenon::on_device_of(like, uniform(made, -bound, bound, generator.get()));
}

struct VeraLinear : methods::AdditiveLayer<VeraLinear> {
  static constexpr tenon::layer_type kType{
      .id = "tenon.vera",
      .method = "vera",
      .base = "torch.nn.Linear;transformers.pytorch_utils.Conv1D",
      .title = "vera.Linear",
      .doc = "Scales of shared random projections."};

  static State prepare(const Setup& setup) {
    return {setup.option<double>("vera_dropout"), methods::is_stored_transposed(setup.base())};
  }

  static void add_adapter(Setup& setup) {
    const auto r = setup.option<std::int64_t>("r");
    const Shape sizes = sizes_of(setup.base());
    const bool starts_as_base = setup.option<bool>("init_weights");
    setup.parameter("vera_lambda_b", {sizes[0]},
                    starts_as_base ? tenon::Init::zeros() : tenon::Init::ones());
    setup.parameter("vera_lambda_d", {r},
                    starts_as_base ? tenon::Init::constant(setup.option<double>("d_initial"))
                                   : tenon::Init::normal(0, 1));
    tenon_parameter_flags flags = TENON_PARAMETER_BUFFER;
    if (!setup.option<bool>("save_projection")) flags |= TENON_PARAMETER_NOT_SAVED;
    setup.shared_parameter("vera_A", {r, sizes[1]}, tenon::Init::zeros(), flags);
    setup.shared_parameter("vera_B", {sizes[0], r}, tenon::Init::zeros(), flags);
  }

  static void initialise(const Setup& setup, Start& start) {
    const tenon::Generator random(
        static_cast<std::uint64_t>(setup.option<std::int64_t>("projection_prng_key")));
    start.set_parameter(kA, projection(random, start.parameter(kA)));
    start.set_parameter(kB, projection(random, start.parameter(kB)));
  }

  static double input_dropout(const tenon::Adapter& adapter) {
    return adapter.state<State>().dropout;
  }

  static Tensor delta(const methods::Change& change) {
    const bool turns = change.adapter.state<State>().turns;
    const Shape& weight = change.weight.shape;
    const Tensor a = methods::narrow(change.adapter.parameter(kA), 1, 0, weight[turns ? 0 : 1]);
    const Tensor b = methods::narrow(change.adapter.parameter(kB), 0, 0, weight[turns ? 1 : 0]);
    const auto column = [](const Tensor& x) { return reshape(x, {-1, 1}); };
    const Tensor update = matmul(column(change.adapter.parameter(kLambdaB)) * b,
                                 column(change.adapter.parameter(kLambdaD)) * a);
    return turns ? transpose(update, 0, 1) : update;
  }
};

}  // namespace

TENON_PLUGIN("tenon.vera", "1.0.0", Vera, VeraLinear)
