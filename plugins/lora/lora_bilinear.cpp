// LoRA on torch.nn.Bilinear: y = x1^T W x2 + b + s * B (x1^T A x2). W (out, in1, in2); A (r, in1,
// in2); B (out, r). PEFT has no such layer. x1^T A x2 is the base itself run on A for its weight;
// dropout acts on x1.
#include <tenon/sdk.hpp>

#include "lora/lora.hpp"

namespace {

struct LoraBilinear : tenon::Layer<LoraBilinear> {
  static constexpr tenon::layer_type kType{.id = "tenon.lora-bilinear",
                                           .method = "lora",
                                           .base = "torch.nn.Bilinear",
                                           .title = "lora.Bilinear",
                                           .doc = "Low-rank update of a bilinear layer.",
                                           .flags = TENON_LAYER_BESIDE};

  static void add_adapter(Setup& setup) {
    const tenon::Shape shape = setup.base().weight("weight").shape;
    lora::add_pair(setup, {lora::layer_rank(setup), shape[1], shape[2]},
                   {shape[0], lora::layer_rank(setup)});
  }

  static void group(const Setup&, std::uint32_t parameter, tenon::Group& group) {
    lora::group_pair(parameter, group);
  }
  static lora::Dropout prepare(const Setup& setup) { return {lora::dropout_of(setup)}; }

  static Outputs forward(Call& call) {
    Tensor y = call.base()[0];
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor a = adapter.parameter(lora::kA);
      std::vector<Tensor> inputs = call.inputs();
      for (Tensor& input : inputs) input = lora::with_dtype(input, a.dtype());
      inputs[0] =
          lora::low_rank_input(call, adapter, inputs[0], adapter.state<lora::Dropout>().dropout);
      const Tensor h = call.base(inputs, lora::without_bias(call, a, a.size(0)))[0];
      y = lora::add_term(y, linear(h, adapter.parameter(lora::kB)), adapter.scaling());
    }
    return y;
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (weight.name != "weight") return {};
    Tensor merged = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor a = adapter.parameter(lora::kA);
      const Tensor delta = matmul(adapter.parameter(lora::kB), reshape(a, {a.size(0), -1}));
      merged = lora::add_term(merged, reshape(delta, weight.shape), adapter.scaling());
    }
    return merged;
  }
};

}  // namespace

TENON_PLUGIN("tenon.lora-bilinear", "0.1.0", LoraBilinear)
