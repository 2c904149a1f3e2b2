// A third party's adapter for a class of their own: y = s (scale + offset) x, with nothing but the
// SDK's headers. `scale` is the base's only weight; `lora_offset` has its shape.
#include <tenon/sdk.hpp>

namespace {

struct LoraScale : tenon::Layer<LoraScale> {
  static constexpr tenon::layer_type kType{.id = "acme.lora-scale",
                                           .method = "lora",
                                           .base = "*.MyScale",
                                           .title = "lora.MyScale",
                                           .doc = "A trainable offset of the scale."};

  static void add_adapter(Setup& setup) {
    setup.parameter("lora_offset", setup.base().weight("scale").shape, tenon::Init::zeros());
  }

  static Outputs forward(Call& call) {
    const tenon::Adapter adapter = call.adapter(0);
    return add(call.base()[0], call.input() * adapter.parameter(0), adapter.scaling());
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    const tenon::Adapter adapter = call.adapter(0);
    return add(call.weight(weight), adapter.parameter(0), adapter.scaling());
  }
};

}  // namespace

TENON_PLUGIN("acme.scale", "1.0.0", LoraScale)
