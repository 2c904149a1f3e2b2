// Multiplicative, a method of its own: y = (W x + b) * (1 + gate).
#include <tenon/sdk.hpp>

struct Gate : tenon::Method<Gate> {
  static constexpr tenon::method_type kMethod{.name = "gate", .doc = "Trained factors."};
};

struct GatedLinear : tenon::Layer<GatedLinear> {
  static constexpr tenon::layer_type kType{
      .id = "author.gated-linear", .method = "gate", .base = "torch.nn.Linear"};

  static void add_adapter(Setup& setup) {
    setup.parameter("gate", {setup.base().weight("weight").shape[0]}, tenon::Init::zeros());
  }
  static Tensor factor(const tenon::Adapter& adapter) {
    static const tenon::Operator add_number("aten::add", "Scalar");
    return add_number(adapter.parameter(0), 1.0);
  }
  static Outputs forward(Call& call) {
    Tensor y = call.base()[0];
    for (const tenon::Adapter& adapter : call.adapters()) y = y * factor(adapter);
    return y;
  }
  static Tensor merged_weight(Call& call, const Weight& weight) {
    Tensor merged = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor each = factor(adapter);
      merged = merged * (weight.name == "bias" ? each : reshape(each, {each.size(0), 1}));
    }
    return merged;
  }
};

TENON_PLUGIN("author.gate", "1.0.0", Gate, GatedLinear)
