// Bottleneck adapters: what a layer gives goes through a narrow network of its own and is added
// back (Houlsby et al. 2019, arXiv:1902.00751):
//   y' = y + scale * (W_up f(W_down y + b_down) + b_up)
// PEFT has no such method. Its output is no function of the weights of the base: it cannot be
// merged.
#include <string>

#include <tenon/sdk.hpp>

#include "common/operators.hpp"

namespace {

using tenon::Shape;
using tenon::Tensor;

constexpr std::uint32_t kDown = 0;
constexpr std::uint32_t kDownBias = 1;
constexpr std::uint32_t kUp = 2;
constexpr std::uint32_t kUpBias = 3;

constexpr const char* kActivations[] = {"relu", "gelu", "silu", "tanh"};

struct Bottleneck : tenon::Method<Bottleneck> {
  static constexpr tenon::method_type kMethod{.name = "bottleneck",
                                              .doc = "Narrow networks behind layers."};
  static constexpr tenon_option kKeys[] = {
      tenon::option::integer("bottleneck_size", 64, {.minimum = 1}, "The width of the network."),
      tenon::option::choice("non_linearity", "relu", kActivations,
                            "What stands between its two layers."),
      tenon::option::number("scale", 1, {}, "A factor on what it adds.")};

  static double scaling(const Setup& setup) { return setup.option<double>("scale"); }
};

struct State {
  std::string non_linearity;
};

Tensor activation(const std::string& name, const Tensor& x) {
  static const tenon::Operator relu("aten::relu");
  static const tenon::Operator gelu("aten::gelu");
  static const tenon::Operator silu("aten::silu");
  static const tenon::Operator tanh("aten::tanh");
  if (name == "relu") return relu(x);
  if (name == "gelu") return gelu(x);
  return name == "silu" ? silu(x) : tanh(x);
}

struct BottleneckLayer : tenon::Layer<BottleneckLayer> {
  static constexpr tenon::layer_type kType{
      .id = "tenon.bottleneck",
      .method = "bottleneck",
      .base = "torch.nn.Linear;torch.nn.LayerNorm;transformers.pytorch_utils.Conv1D",
      .title = "bottleneck.Layer",
      .doc = "A narrow network behind the layer."};

  // The size of what the layer gives: the last of a norm's or Conv1D's weight, else the first.
  static std::int64_t outputs_of(const tenon::Base& base) {
    const Shape weight = base.weight("weight").shape;
    return base.type() == "torch.nn.Linear" ? weight.front() : weight.back();
  }

  static State prepare(const Setup& setup) { return {setup.option<std::string>("non_linearity")}; }

  static void add_adapter(Setup& setup) {
    const auto size = setup.option<std::int64_t>("bottleneck_size");
    const std::int64_t outputs = outputs_of(setup.base());
    setup.parameter("adapter_down.weight", {size, outputs}, tenon::Init::kaiming_uniform());
    setup.parameter("adapter_down.bias", {size}, tenon::Init::zeros());
    setup.parameter("adapter_up.weight", {outputs, size}, tenon::Init::zeros());
    setup.parameter("adapter_up.bias", {outputs}, tenon::Init::zeros());
  }

  static Outputs forward(Call& call) {
    Tensor y = std::move(call.base()[0]);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor x = methods::with_dtype(y, adapter.parameter(kDown).dtype());
      const Tensor low = linear(x, adapter.parameter(kDown)) + adapter.parameter(kDownBias);
      const Tensor inner = activation(adapter.state<State>().non_linearity, low);
      const Tensor added = linear(inner, adapter.parameter(kUp)) + adapter.parameter(kUpBias);
      y = methods::with_dtype(add(x, added, adapter.scaling()), y.dtype());
    }
    return y;
  }
};

}  // namespace

TENON_PLUGIN("tenon.bottleneck", "1.0.0", Bottleneck, BottleneckLayer)
