// LayerNorm tuning: copies of a norm's own weights are trained in their place (Zhao et al. 2023,
// arXiv:2312.11420; PEFT: tuners/ln_tuning/layer.py). There is nothing to add: merging swaps them.
#include <string>

#include <tenon/sdk.hpp>

namespace {

struct LnTuning : tenon::Method<LnTuning> {
  static constexpr tenon::method_type kMethod{.name = "ln_tuning",
                                              .peft_type = "LN_TUNING",
                                              .doc = "Trained copies of the norms' weights.",
                                              .max_active = 1,
                                              .flags = TENON_METHOD_EXCLUDES};
};

struct LnTuningLayer : tenon::Layer<LnTuningLayer> {
  static constexpr tenon::layer_type kType{
      .id = "tenon.ln-tuning",
      .method = "ln_tuning",
      .base =
          "torch.nn.LayerNorm;torch.nn.GroupNorm;torch.nn.RMSNorm;*.LlamaRMSNorm;"
          "*.MistralRMSNorm;*.MixtralRMSNorm;*.Qwen2RMSNorm;*.Qwen3RMSNorm;*.Phi3RMSNorm;"
          "*.GemmaRMSNorm;*.Gemma2RMSNorm;*.Gemma3RMSNorm;*.T5LayerNorm",
      .title = "ln_tuning.LNTuningLayer",
      .doc = "Trained copies of a norm's weights.",
      .flags = TENON_LAYER_BESIDE};

  // A parameter for each weight, of the weight's own precision, in the order of the weights.
  static void add_adapter(Setup& setup) {
    for (const Weight& weight : setup.base().weights()) {
      if (weight.is_buffer) {
        throw tenon::Failure(TENON_UNSUPPORTED,
                             "it keeps `" + std::string(weight.name) + "` up to date by itself");
      }
      setup.parameter("ln_tuning_layers." + std::string(weight.name), weight.shape,
                      tenon::Init::zeros(), TENON_PARAMETER_TRAINABLE, weight.dtype);
    }
  }

  static void initialise(const Setup& setup, Start& start) {
    for (const Weight& weight : setup.base().weights()) {
      start.set_parameter(weight.index, start.weight(weight.index));
    }
  }

  // Without a forward: the host runs the base on these.
  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (call.n_adapters() != 1) {
      throw tenon::Failure(TENON_INVALID_ARGUMENT,
                           "one adapter can be active, since each has the whole weight");
    }
    return call.adapter(0).parameter(weight.index);
  }
};

}  // namespace

TENON_PLUGIN("tenon.ln-tuning", "0.1.0", LnTuning, LnTuningLayer)
