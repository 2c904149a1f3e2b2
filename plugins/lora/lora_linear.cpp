// LoRA on torch.nn.Linear: y = W x + b + s * B A dropout(x)   (Hu et al. 2021, arXiv:2106.09685;
// PEFT: tuners/lora/layer.py, Linear). W (out, in); A (r, in); B (out, r); s = lora_alpha / r.
#include <algorithm>
#include <vector>

#include <tenon/sdk.hpp>

#include "lora/fully_connected.hpp"
#include "lora/method.hpp"
#include "lora/mixed_rows.hpp"

namespace {

struct LoraLinear : tenon::Layer<LoraLinear> {
  static constexpr tenon::layer_type kType{.id = "tenon.lora-linear",
                                           .method = "lora",
                                           .base = "torch.nn.Linear",
                                           .title = "lora.Linear",
                                           .doc = "Low-rank update of a fully connected layer.",
                                           .flags = TENON_LAYER_ROWS | TENON_LAYER_BESIDE};
  static constexpr const tenon_factor_form& kFactors = lora::kPairs[0];

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
    lora::add_linear_pair(setup, shape[1], shape[0]);
    lora::add_variant(setup, shape[0], {shape[0]});
  }

  static void group(const Setup& setup, std::uint32_t parameter, tenon::Group& group) {
    lora::group_variant(setup, parameter, true, group);
  }
  static lora::Variant prepare(const Setup& setup) { return lora::variant_of(setup); }
  static void check_mergeable(const Setup& setup) { lora::require_bias_to_merge(setup); }
  static void initialise(const Setup& setup, Start& start) {
    lora::start_linear(setup, start, false);
  }

  static Outputs forward(Call& call) {
    const bool fuses = can_fuse(call);
    return lora::with_adapters(call, fuses ? 1 : 0, fuses ? fused(call) : call.base()[0],
                               call.weight("weight"));
  }

  // Each layer's first adapter by one operator for all.
  static std::vector<Tensor> forward_siblings(const std::vector<Call>& calls) {
    const bool fuse = std::all_of(calls.begin(), calls.end(), [&](const Call& call) {
      return can_fuse(call) && dropout_of(call) == dropout_of(calls[0]);
    });
    std::vector<Tensor> outputs;
    if (fuse) outputs = fused(calls);
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (!fuse) {
        Call call = calls[i];
        outputs.push_back(std::move(forward(call)[0]));
      } else {
        outputs[i] = lora::with_adapters(calls[i], 1, outputs[i], calls[i].weight("weight"));
      }
    }
    return outputs;
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (weight.name == "bias") return lora::merged_bias_of(call, weight, call.weight("weight"));
    if (weight.name != "weight") return {};
    return lora::merged_rows(call, call.weight(weight));
  }

 private:
  static double dropout_of(const Call& call) {
    return call.training() ? call.adapter(0).state<lora::Variant>().dropout : 0;
  }

  static bool can_fuse(const Call& call) {
    return call.base_info().operator_name() == "aten::linear" &&
           call.adapter(0).parameter(lora::kA).dtype() == call.input().dtype() &&
           lora::all_plain(call) && !call.adapter(0).rows();
  }

  static Tensor bias_of(const Call& call) {
    return call.base_info().find_weight("bias") ? call.weight("bias") : Tensor();
  }

  // Base and first adapter in one host operator, which adds the low-rank term to the base's fresh
  // output in place and saves only what backward needs.
  static Tensor fused(const Call& call) {
    static const tenon::Operator lora_linear("tenon::lora_linear");
    const tenon::Adapter adapter = call.adapter(0);
    return lora_linear(call.input(), call.weight("weight"), bias_of(call),
                       adapter.parameter(lora::kA), adapter.parameter(lora::kB), adapter.scaling(),
                       dropout_of(call));
  }

  static std::vector<Tensor> fused(const std::vector<Call>& calls) {
    static const tenon::Operator lora_linears("tenon::lora_linears");
    std::vector<tenon_tensor> weights, biases, a, b;
    std::vector<double> scaling;
    for (const Call& call : calls) {
      const tenon::Adapter adapter = call.adapter(0);
      weights.push_back(call.weight("weight").handle());
      biases.push_back(bias_of(call).handle());
      a.push_back(adapter.parameter(lora::kA).handle());
      b.push_back(adapter.parameter(lora::kB).handle());
      scaling.push_back(adapter.scaling());
    }
    return lora_linears.results(1, calls[0].input(), weights, biases, a, b, scaling,
                                dropout_of(calls[0]));
  }
};

}  // namespace

TENON_PLUGIN("tenon.lora-linear", "0.1.0", lora::Lora, LoraLinear)
