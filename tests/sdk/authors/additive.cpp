// Additive: y = W x + b + s * offset.
#include <tenon/sdk.hpp>

struct Additive : tenon::Layer<Additive> {
  static constexpr tenon::layer_type kType{
      .id = "author.additive-linear", .method = "lora", .base = "torch.nn.Linear"};

  static void validate(const Setup& setup) { (void)setup.base().weight("bias"); }
  static void add_adapter(Setup& setup) {
    setup.parameter("offset", setup.base().weight("bias").shape, tenon::Init::zeros());
  }
  static Outputs forward(Call& call) {
    Tensor y = call.base()[0];
    for (const tenon::Adapter& adapter : call.adapters()) {
      y = add(y, adapter.parameter(0), adapter.scaling());
    }
    return y;
  }
  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (weight.name != "bias") return {};
    Tensor merged = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      merged = add(merged, adapter.parameter(0), adapter.scaling());
    }
    return merged;
  }
};

TENON_PLUGIN("author.additive", "1.0.0", Additive)
