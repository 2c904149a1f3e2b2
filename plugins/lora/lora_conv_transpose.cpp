// LoRA on transposed convolutions: y = conv_t(x, W) + b + s * conv_t(A dropout(x), B). W (in, out /
// g, k...); A (r, in / g, 1...), a pointwise convolution of the base's g groups; B (r, out / g,
// k...), by which the base itself runs, with its stride, paddings and dilation. PEFT has no such
// layer. As both have the base's groups, the update of each group is a product of matrices and
// merges exactly.
#include <string>

#include <tenon/sdk.hpp>

#include "lora/pointwise.hpp"

namespace {

struct LoraConvTranspose : tenon::Layer<LoraConvTranspose> {
  static constexpr tenon::layer_type kType{
      .id = "tenon.lora-conv-transpose",
      .method = "lora",
      .base = "torch.nn.ConvTranspose1d;torch.nn.ConvTranspose2d;torch.nn.ConvTranspose3d",
      .title = "lora.ConvTranspose",
      .doc = "Low-rank update of a transposed convolution.",
      .flags = TENON_LAYER_BESIDE};

  static void validate(const Setup& setup) { lora::check_groups(setup); }

  static void add_adapter(Setup& setup) {
    tenon::Shape b = setup.base().weight("weight").shape;
    tenon::Shape a(b.size(), 1);
    a[0] = lora::layer_rank(setup);
    a[1] = b[0] / setup.base().attribute<std::int64_t>("groups");
    b[0] = lora::layer_rank(setup);
    lora::add_pair(setup, a, b);
  }

  static void group(const Setup&, std::uint32_t parameter, tenon::Group& group) {
    lora::group_pair(parameter, group);
  }
  static lora::Dropout prepare(const Setup& setup) { return {lora::dropout_of(setup)}; }

  static Outputs forward(Call& call) {
    Tensor y = call.base()[0];
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor a = adapter.parameter(lora::kA);
      const Tensor b = adapter.parameter(lora::kB);
      const std::int64_t groups = groups_of(call, a);
      const Tensor h = lora::pointwise(
          lora::low_rank_input(call, adapter, call.input(), adapter.state<lora::Dropout>().dropout),
          a, groups);
      const Tensor term = call.base({h}, lora::without_bias(call, b, b.size(1) * groups))[0];
      y = lora::add_term(y, term, adapter.scaling());
    }
    return y;
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (weight.name != "weight") return {};
    Tensor merged = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor a = adapter.parameter(lora::kA);
      const Tensor b = adapter.parameter(lora::kB);
      const std::int64_t groups = groups_of(call, a);
      const std::int64_t rank = a.size(0) / groups;
      const Tensor up = transpose(reshape(a, {groups, rank, a.size(1)}), 1, 2);
      const Tensor delta = matmul(up, reshape(b, {groups, rank, -1}));
      merged = lora::add_term(merged, reshape(delta, weight.shape), adapter.scaling());
    }
    return merged;
  }

 private:
  static std::int64_t groups_of(const Call& call, const Tensor& a) {
    return call.base_info().weight("weight").shape[0] / a.size(1);
  }
};

}  // namespace

TENON_PLUGIN("tenon.lora-conv-transpose", "0.1.0", LoraConvTranspose)
