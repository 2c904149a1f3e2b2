// A custom gradient: y = W x + b + clip(p * x, -1, 1), where what is clipped still passes its
// gradient straight through (a straight-through estimator), which no composition of operators has.
#include <tenon/sdk.hpp>

namespace {

struct Clip : tenon::Function<Clip> {
  static constexpr const char* kName = "acme.clip";
  static constexpr std::uint32_t kOutputs = 1;
  static constexpr std::uint32_t kSaved = 2;
  struct Context {
    double limit;
  };

  // clip(p * x, -limit, limit)
  static Tensors forward(const Context& context, const Tensors& inputs, Tensors& saved) {
    static const tenon::Operator clamp("aten::clamp");
    saved = {inputs[0], inputs[1]};
    return {clamp(inputs[0] * inputs[1], -context.limit, context.limit)};
  }

  // As if nothing had been clipped.
  static Tensors backward(const Context&, const Tensors& saved, const Tensors& gradients,
                          const Needed& needed) {
    static const tenon::Operator sum("aten::sum", "dim_IntList");
    Tensors out(2);
    if (needed[0] != 0) out[0] = sum(gradients[0] * saved[1], tenon::Shape{0});
    if (needed[1] != 0) out[1] = gradients[0] * saved[0];
    return out;
  }
};

struct Clipped : tenon::Method<Clipped> {
  static constexpr tenon::method_type kMethod{.name = "clipped", .doc = "A custom gradient."};
};

struct ClippedLayer : tenon::Layer<ClippedLayer> {
  static constexpr tenon::layer_type kType{
      .id = "acme.clipped-linear", .method = "clipped", .base = "torch.nn.Linear"};
  static constexpr tenon_option kOptions[] = {
      tenon::option::number("limit", 1, {.minimum = 0}, "Where it is clipped.")};

  static void validate(const Setup& setup) {
    const tenon::Shape weight = setup.base().weight("weight").shape;
    if (weight[0] != weight[1]) {
      throw tenon::Failure(TENON_UNSUPPORTED, "the input and the output differ in size");
    }
  }
  static void add_adapter(Setup& setup) {
    setup.parameter("factor", {setup.base().weight("weight").shape[1]}, tenon::Init::zeros());
  }
  static double prepare(const Setup& setup) { return setup.option<double>("limit"); }
  static Outputs forward(Call& call) {
    const tenon::Adapter adapter = call.adapter(0);
    return call.base()[0] +
           Clip::apply({adapter.state<double>()}, {adapter.parameter(0), call.input()})[0];
  }
};

}  // namespace

TENON_PLUGIN("acme.clipped", "1.0.0", Clipped, ClippedLayer)
