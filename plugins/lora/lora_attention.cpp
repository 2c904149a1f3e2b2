// LoRA on torch.nn.MultiheadAttention: in_proj_weight (3 size, size) becomes W + s * B A and
// out_proj.weight W + 2 s * B A (PEFT: tuners/lora/layer.py, MultiheadAttention, which writes them
// into the base for each forward and back). The 2 is PEFT 0.21.2's: it adds the update of out_proj
// itself and then merges that adapter once more; without it an adapter of PEFT's would compute
// something else here. Names as PEFT's, whose adapter of out_proj lies inside the base layer.
//
// Where kdim or vdim differ from embed_dim, which PEFT refuses, the three projections have weights
// of their own: each becomes W + s * B A, and so does out_proj.weight, there being no adapter of
// PEFT's to agree with.
#include <string>
#include <vector>

#include <tenon/sdk.hpp>

#include "lora/weights.hpp"

namespace {

constexpr const char* kOutProjection = "out_proj.weight";

// A weight that is adapted: what stands before the names of its pair, and its factor.
struct Projection {
  std::string weight;
  std::string prefix;
  double factor;
};

// In the order of their pairs.
std::vector<Projection> projections(const tenon::Base& base) {
  const std::string out = "base_layer.out_proj.";
  if (base.find_weight("in_proj_weight")) {
    return {{"in_proj_weight", "", 1}, {kOutProjection, out, 2}};
  }
  std::vector<Projection> all;
  for (const char* name : {"q_proj_weight", "k_proj_weight", "v_proj_weight"}) {
    all.push_back({name, std::string(name) + ".", 1});
  }
  all.push_back({kOutProjection, out, 1});
  return all;
}

struct LoraAttention : tenon::Layer<LoraAttention> {
  static constexpr tenon::layer_type kType{
      .id = "tenon.lora-attention",
      .method = "lora",
      .base = "torch.nn.MultiheadAttention",
      .title = "lora.MultiheadAttention",
      .doc = "Low-rank updates of an attention's projections."};

  static void validate(const Setup& setup) { lora::tell_dropout_ignored(setup, kType.id); }

  static void add_adapter(Setup& setup) {
    for (const Projection& projection : projections(setup.base())) {
      lora::add_weight_pair(setup, setup.base().weight(projection.weight), projection.prefix);
    }
  }

  static void group(const Setup&, std::uint32_t parameter, tenon::Group& group) {
    lora::group_pair(parameter, group);
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    std::uint32_t pair = 0;
    for (const Projection& projection : projections(call.base_info())) {
      if (projection.weight == weight.name) return updated(call, weight, pair, projection.factor);
      pair += 2;
    }
    return {};
  }

 private:
  static Tensor updated(const Call& call, const Weight& weight, std::uint32_t pair, double factor) {
    Tensor sum = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      sum = lora::updated(sum, adapter, pair, factor);
    }
    return sum;
  }
};

}  // namespace

TENON_PLUGIN("tenon.lora-attention", "0.1.0", LoraAttention)
