// LoRA on torch.nn.MultiheadAttention: in_proj_weight (3 size, size) becomes W + s * B A and
// out_proj.weight W + 2 s * B A (PEFT: tuners/lora/layer.py, MultiheadAttention, which writes them
// into the base for each forward and back). The 2 is PEFT 0.21.2's: it adds the update of out_proj
// itself and then merges that adapter once more; without it an adapter of PEFT's would compute
// something else here. Names as PEFT's, whose adapter of out_proj lies inside the base layer.
#include <string>

#include <tenon/sdk.hpp>

#include "lora_common/weights.hpp"

namespace {

constexpr const char* kInProjection = "in_proj_weight";
constexpr const char* kOutProjection = "out_proj.weight";
constexpr std::uint32_t kInPair = 0;  // place of A among the parameters; B follows
constexpr std::uint32_t kOutPair = 2;

struct LoraAttention : tenon::Layer<LoraAttention> {
  static constexpr tenon::layer_type kType{
      .id = "tenon.lora-attention",
      .method = "lora",
      .base = "torch.nn.MultiheadAttention",
      .title = "lora.MultiheadAttention",
      .doc = "Low-rank updates of an attention's projections."};

  static void validate(const Setup& setup) {
    lora::tell_dropout_ignored(setup, kType.id);
    if (setup.base().find_weight(kInProjection)) return;
    throw tenon::Failure(TENON_UNSUPPORTED,
                         "kdim or vdim differ from embed_dim, so the projections have weights of "
                         "their own; name these in target_parameters: q_proj_weight, "
                         "k_proj_weight, v_proj_weight");
  }

  static void add_adapter(Setup& setup) {
    lora::add_weight_pair(setup, setup.base().weight(kInProjection), "");
    lora::add_weight_pair(setup, setup.base().weight(kOutProjection), "base_layer.out_proj.");
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    const bool is_in = weight.name == kInProjection;
    if (!is_in && weight.name != kOutProjection) return {};
    Tensor sum = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      sum = lora::updated(sum, adapter, is_in ? kInPair : kOutPair, is_in ? 1 : 2);
    }
    return sum;
  }
};

}  // namespace

TENON_PLUGIN("tenon.lora-attention", "0.1.0", LoraAttention)
