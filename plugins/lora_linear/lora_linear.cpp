// LoRA on torch.nn.Linear: y = W x + b + s * B A dropout(x)   (Hu et al. 2021, arXiv:2106.09685;
// PEFT: tuners/lora/layer.py, Linear). W (out, in); A (r, in); B (out, r); s = lora_alpha / r.
#include <string>

#include <tenon/sdk.hpp>

namespace {

constexpr std::uint32_t kLoraA = 0;
constexpr std::uint32_t kLoraB = 1;

// PEFT's init_lora_weights: true is "default", false is "random".
tenon::Init initial_a(const tenon::Setup& setup) {
  if (setup.option<std::string>("init_lora_weights") == "gaussian") {
    return tenon::Init::normal(0, 1.0 / static_cast<double>(setup.r()));
  }
  return tenon::Init::kaiming_uniform();
}

tenon::Init initial_b(const tenon::Setup& setup) {
  if (setup.option<std::string>("init_lora_weights") == "random") {
    return tenon::Init::kaiming_uniform();
  }
  return tenon::Init::zeros();
}

// y + s * B A x by plain operators: for bases that are not one aten::linear, for second adapters,
// and for adapters kept in another precision than the base, computed in theirs.
tenon::Tensor add_delta(const tenon::Tensor& y, const tenon::Tensor& x,
                        const tenon::Adapter& adapter) {
  const tenon::Tensor a = adapter.parameter(kLoraA);
  const tenon::Tensor input = x.dtype() == a.dtype() ? x : to_dtype(x, a.dtype());
  const tenon::Tensor sum =
      add(y, linear(linear(input, a), adapter.parameter(kLoraB)), adapter.scaling());
  return sum.dtype() == y.dtype() ? sum : to_dtype(sum, y.dtype());
}

struct LoraLinear : tenon::Layer<LoraLinear> {
  static constexpr tenon::layer_type kType{.id = "tenon.lora-linear",
                                           .method = "lora",
                                           .base = "torch.nn.Linear",
                                           .title = "lora.Linear",
                                           .doc = "Low-rank update of a fully connected layer."};

  static void validate(const Setup& setup) {
    const Weight weight = setup.base().weight("weight");
    if (weight.shape.size() != 2) {
      throw tenon::Failure(TENON_UNSUPPORTED, "the weight is not a matrix");
    }
    if (setup.base().n_inputs() != 1 || setup.base().n_outputs() != 1) {
      throw tenon::Failure(TENON_UNSUPPORTED, "the layer does not map one tensor to one tensor");
    }
  }

  static void add_adapter(Setup& setup) {
    const tenon::Shape shape = setup.base().weight("weight").shape;
    setup.parameter("lora_A.weight", {setup.r(), shape[1]}, initial_a(setup));
    setup.parameter("lora_B.weight", {shape[0], setup.r()}, initial_b(setup));
  }

  static Outputs forward(Call& call) {
    const Tensor input = call.input();
    const bool can_fuse = call.base_info().operator_name() == "aten::linear" &&
                          call.adapter(0).parameter(kLoraA).dtype() == input.dtype();
    Tensor y = can_fuse ? fused(call, input) : call.base()[0];
    for (std::uint32_t i = can_fuse ? 1 : 0; i < call.n_adapters(); ++i) {
      const tenon::Adapter adapter = call.adapter(i);
      y = add_delta(y, dropped(call, adapter, input), adapter);
    }
    return y;
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (weight.name != "weight") return {};
    Tensor merged = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor delta = matmul(adapter.parameter(kLoraB), adapter.parameter(kLoraA));
      merged = add(merged, delta, adapter.scaling());
    }
    return merged;
  }

 private:
  // Base and first adapter in one host operator, which adds the low-rank term to the base's fresh
  // output in place and saves only what backward needs.
  static Tensor fused(const Call& call, const Tensor& input) {
    static const tenon::Operator lora_linear("tenon::lora_linear");
    const tenon::Adapter adapter = call.adapter(0);
    const bool has_bias = call.base_info().find_weight("bias").has_value();
    return lora_linear(input, dropped(call, adapter, input), call.weight("weight"),
                       has_bias ? call.weight("bias") : Tensor(), adapter.parameter(kLoraA),
                       adapter.parameter(kLoraB), adapter.scaling());
  }

  static Tensor dropped(const Call& call, const tenon::Adapter& adapter, const Tensor& input) {
    if (!call.training() || adapter.dropout() == 0) return input;
    return dropout(input, adapter.dropout(), true);
  }
};

}  // namespace

TENON_PLUGIN("tenon.lora-linear", "0.1.0", LoraLinear)
