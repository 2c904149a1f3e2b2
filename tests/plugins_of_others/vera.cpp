// VeRA on torch.nn.Linear, as a third party would write it (Kopiczko et al. 2023,
// arXiv:2310.11454):
//   y = W x + b + lambda_b * B (lambda_d * A x)
// A and B are drawn once for all layers, as large as the largest, and never trained. Needs
// parameters that layers share, with a size known only once all layers have been seen.
#include <tenon/sdk.hpp>

namespace {

constexpr std::uint32_t kA = 0;
constexpr std::uint32_t kB = 1;
constexpr std::uint32_t kLambdaB = 2;
constexpr std::uint32_t kLambdaD = 3;

struct Vera : tenon::Method<Vera> {
  static constexpr tenon::method_type kMethod{.name = "vera",
                                              .peft_type = "VERA",
                                              .doc = "Trained scales of shared random projections.",
                                              .flags = TENON_METHOD_LAYERS};
  static constexpr const char* kBias[] = {"none"};
  static constexpr tenon_option kKeys[] = {
      tenon::option::integer("r", 256, {.minimum = 1}, "Size between the projections."),
      tenon::option::number("d_initial", 0.1, {}, "Start of lambda_d."),
      tenon::option::number("vera_dropout", 0, {.minimum = 0, .maximum = 0}, "Not supported."),
      tenon::option::integer("projection_prng_key", 0, {}, "PEFT's seed of the projections."),
      tenon::option::boolean("save_projection", true, "Whether the file holds the projections."),
      tenon::option::boolean("init_weights", true, "Start as PEFT does."),
      tenon::option::boolean("fan_in_fan_out", false, "The weights are stored as (in, out)."),
      tenon::option::choice("bias", "none", kBias, "Which biases are trained.")};
};

tenon::Tensor narrow(const tenon::Tensor& x, std::int64_t dimension, std::int64_t size) {
  static const tenon::Operator op("aten::narrow");
  return op(x, dimension, std::int64_t{0}, size);
}

tenon::Tensor column(const tenon::Tensor& x) { return reshape(x, {x.size(0), 1}); }

struct VeraLinear : tenon::Layer<VeraLinear> {
  static constexpr tenon::layer_type kType{.id = "acme.vera-linear",
                                           .method = "vera",
                                           .base = "torch.nn.Linear",
                                           .title = "vera.Linear",
                                           .doc = "Scales of shared random projections."};

  static void add_adapter(Setup& setup) {
    const auto r = setup.option<std::int64_t>("r");
    const tenon::Shape weight = setup.base().weight("weight").shape;
    setup.shared_parameter("vera_A", {r, weight[1]}, tenon::Init::kaiming_uniform(0),
                           TENON_PARAMETER_BUFFER);
    setup.shared_parameter("vera_B", {weight[0], r}, tenon::Init::kaiming_uniform(0),
                           TENON_PARAMETER_BUFFER);
    setup.parameter("vera_lambda_b", {weight[0]}, tenon::Init::zeros());
    setup.parameter("vera_lambda_d", {r}, tenon::Init::constant(setup.option<double>("d_initial")));
  }

  static Outputs forward(Call& call) {
    Tensor y = std::move(call.base()[0]);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const tenon::Shape weight = call.weight("weight").shape();
      const Tensor a = narrow(adapter.parameter(kA), 1, weight[1]);
      const Tensor b = narrow(adapter.parameter(kB), 0, weight[0]);
      const Tensor low = adapter.parameter(kLambdaD) * linear(call.input(), a);
      y = y + adapter.parameter(kLambdaB) * linear(low, b);
    }
    return y;
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (weight.name != "weight") return {};
    Tensor merged = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor a =
          column(adapter.parameter(kLambdaD)) * narrow(adapter.parameter(kA), 1, weight.shape[1]);
      const Tensor b =
          column(adapter.parameter(kLambdaB)) * narrow(adapter.parameter(kB), 0, weight.shape[0]);
      merged = merged + matmul(b, a);
    }
    return merged;
  }
};

}  // namespace

TENON_PLUGIN("acme.vera", "1.0.0", Vera, VeraLinear)
