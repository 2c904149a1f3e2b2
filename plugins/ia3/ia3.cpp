// (IA)^3: each channel of a layer's output, or of its input for feedforward layers, is multiplied
// by a trained factor l (Liu et al. 2022, arXiv:2205.05638; PEFT: tuners/ia3/layer.py).
//   y = (W x + b) * l     or, for feedforward_modules,     y = W (l * x) + b
#include <string>

#include <tenon/sdk.hpp>

namespace {

using tenon::Shape;
using tenon::Tensor;

struct Ia3 : tenon::Method<Ia3> {
  static constexpr tenon::method_type kMethod{.name = "ia3",
                                              .peft_type = "IA3",
                                              .doc = "Trained factors on channels.",
                                              .flags = TENON_METHOD_EXCLUDES};
  static constexpr tenon_option kKeys[] = {
      tenon::option::modules("feedforward_modules",
                             "Layers whose input is multiplied, not their output."),
      tenon::option::boolean("fan_in_fan_out", false,
                             "PEFT's, of its own Conv1D; a layer's type says how its weight lies."),
      tenon::option::boolean("init_ia3_weights", true, "Start with factors of one.")};

  // PEFT writes it for all layers where one of them is a Conv1D.
  static void settle(tenon::Keys& keys) {
    if (!keys.are_saved() && keys.option<bool>("fan_in_fan_out")) {
      keys.refuse("fan_in_fan_out", "has no effect: a layer's type says how its weight lies");
    }
  }
};

// Where a layer's channels are.
struct Channels {
  bool feedforward = false;
  bool stored_transposed = false;  // the weight is (in, out)
  std::int64_t spatial = 0;        // dimensions behind the channels, in activations and weight
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
  std::int64_t groups = 1;

  // The factors as PEFT stores them.
  Shape stored() const {
    const std::int64_t count = feedforward ? inputs : outputs;
    if (spatial == 0 && !feedforward) return {count, 1};
    Shape shape(static_cast<std::size_t>(2 + spatial), 1);
    shape[1] = count;
    return shape;
  }
  // And so that they broadcast over an activation, whatever stands before its channels.
  Shape broadcast() const {
    Shape shape(static_cast<std::size_t>(1 + spatial), 1);
    shape[0] = feedforward ? inputs : outputs;
    return shape;
  }
  // And over the weight. With groups, the i-th group of outputs sees the i-th part of the inputs.
  Shape on_weight() const {
    Shape shape(static_cast<std::size_t>(2 + spatial), 1);
    shape[feedforward != stored_transposed ? 1 : 0] = feedforward ? inputs : outputs;
    return shape;
  }
};

Channels channels_of(const tenon::Base& base, bool feedforward) {
  const Shape weight = base.weight("weight").shape;
  Channels channels;
  channels.feedforward = feedforward;
  channels.spatial = static_cast<std::int64_t>(weight.size()) - 2;
  if (channels.spatial > 0) channels.groups = base.attribute<std::int64_t>("groups");
  channels.stored_transposed = base.type() == "transformers.pytorch_utils.Conv1D";
  channels.outputs = weight[channels.stored_transposed ? 1 : 0];
  channels.inputs = weight[channels.stored_transposed ? 0 : 1] * channels.groups;
  return channels;
}

Tensor with_dtype(const Tensor& x, std::int32_t dtype) {
  return x.dtype() == dtype ? x : to_dtype(x, dtype);
}

// x * l in l's precision, returned in x's.
Tensor scale(const Tensor& x, const Tensor& factors) {
  return with_dtype(with_dtype(x, factors.dtype()) * factors, x.dtype());
}

Tensor expand(const Tensor& x, const Shape& shape) {
  static const tenon::Operator op("aten::expand");
  return op(x, shape);
}

// The factors of the input channels that each output channel of a grouped convolution sees.
Tensor by_group(const Tensor& factors, const Channels& channels) {
  const std::int64_t inputs = channels.inputs / channels.groups;
  const std::int64_t outputs = channels.outputs / channels.groups;
  Shape shape(static_cast<std::size_t>(2 + channels.spatial), 1);
  shape[0] = channels.outputs;
  shape[1] = inputs;
  return reshape(
      expand(reshape(factors, {channels.groups, 1, inputs}), {channels.groups, outputs, inputs}),
      shape);
}

struct Ia3Layer : tenon::Layer<Ia3Layer> {
  static constexpr tenon::layer_type kType{
      .id = "tenon.ia3",
      .method = "ia3",
      .base =
          "torch.nn.Linear;torch.nn.Conv1d;torch.nn.Conv2d;torch.nn.Conv3d;"
          "transformers.pytorch_utils.Conv1D",
      .title = "ia3.Layer",
      .doc = "Trained factors on the channels of a linear layer or convolution.",
      .flags = TENON_LAYER_BESIDE};

  using State = Channels;

  static State prepare(const Setup& setup) {
    return channels_of(setup.base(), setup.option<bool>("feedforward_modules"));
  }

  static void validate(const Setup& setup) {
    const tenon::Base& base = setup.base();
    if (base.n_inputs() != 1 || base.n_outputs() != 1) {
      throw tenon::Failure(TENON_UNSUPPORTED, "the layer does not map one tensor to one tensor");
    }
  }

  static void add_adapter(Setup& setup) {
    setup.parameter(
        "ia3_l", prepare(setup).stored(),
        setup.option<bool>("init_ia3_weights") ? tenon::Init::ones() : tenon::Init::normal(0, 1));
  }

  static Outputs forward(Call& call) {
    Tensor x = call.input();
    for (const tenon::Adapter& adapter : call.adapters()) {
      const auto& channels = adapter.state<State>();
      if (channels.feedforward) x = scale(x, reshape(adapter.parameter(0), channels.broadcast()));
    }
    Tensor y = std::move(call.base({x})[0]);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const auto& channels = adapter.state<State>();
      if (!channels.feedforward) y = scale(y, reshape(adapter.parameter(0), channels.broadcast()));
    }
    return y;
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    const bool is_bias = weight.name == "bias";
    if (!is_bias && weight.name != "weight") return {};
    Tensor merged = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const auto& channels = adapter.state<State>();
      const Tensor factors = adapter.parameter(0);
      if (is_bias) {
        if (!channels.feedforward) merged = scale(merged, reshape(factors, {channels.outputs}));
      } else if (channels.feedforward && channels.groups > 1) {
        merged = scale(merged, by_group(factors, channels));
      } else {
        merged = scale(merged, reshape(factors, channels.on_weight()));
      }
    }
    return merged;
  }
};

}  // namespace

TENON_PLUGIN("tenon.ia3", "0.1.0", Ia3, Ia3Layer)
