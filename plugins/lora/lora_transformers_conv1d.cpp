// LoRA on transformers' Conv1D, which is a Linear whose weight is stored transposed (PEFT:
// fan_in_fan_out): y = x W + b + s * B A dropout(x). W (in, out); A (r, in); B (out, r).
#include <tenon/sdk.hpp>

#include "lora/fully_connected.hpp"
#include "lora/mixed_rows.hpp"

namespace {

struct LoraTransformersConv1d : tenon::Layer<LoraTransformersConv1d> {
  static constexpr tenon::layer_type kType{
      .id = "tenon.lora-transformers-conv1d",
      .method = "lora",
      .base = "transformers.pytorch_utils.Conv1D",
      .title = "lora.Conv1D",
      .doc = "Low-rank update of a fully connected layer whose weight is stored transposed.",
      .flags = TENON_LAYER_ROWS | TENON_LAYER_BESIDE};

  static void add_adapter(Setup& setup) {
    const tenon::Shape shape = setup.base().weight("weight").shape;
    lora::add_linear_pair(setup, shape[0], shape[1]);
    lora::add_variant(setup, shape[1], {shape[1]});
  }

  static void group(const Setup& setup, std::uint32_t parameter, tenon::Group& group) {
    lora::group_variant(setup, parameter, true, group);
  }
  static lora::Variant prepare(const Setup& setup) { return lora::variant_of(setup); }
  static void check_mergeable(const Setup& setup) { lora::require_bias_to_merge(setup); }
  static void initialise(const Setup& setup, Start& start) {
    lora::start_linear(setup, start, true);
  }

  static Outputs forward(Call& call) {
    const Tensor input = call.input();
    const bool can_fuse = call.adapter(0).parameter(lora::kA).dtype() == input.dtype() &&
                          lora::all_plain(call) && !call.adapter(0).rows();
    const Tensor rows = transpose(call.weight("weight"), 0, 1);
    return lora::with_adapters(call, can_fuse ? 1 : 0,
                               can_fuse ? fused(call, input) : call.base()[0], rows);
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    const Tensor rows = transpose(call.weight("weight"), 0, 1);
    if (weight.name == "bias") return lora::merged_bias_of(call, weight, rows);
    if (weight.name != "weight") return {};
    return transpose(lora::merged_rows(call, rows), 0, 1);
  }

 private:
  static Tensor fused(const Call& call, const Tensor& input) {
    static const tenon::Operator lora_linear("tenon::lora_linear");
    const tenon::Adapter adapter = call.adapter(0);
    return lora_linear(input, transpose(call.weight("weight"), 0, 1),
                       call.base_info().find_weight("bias") ? call.weight("bias") : Tensor(),
                       adapter.parameter(lora::kA), adapter.parameter(lora::kB), adapter.scaling(),
                       call.training() ? adapter.state<lora::Variant>().dropout : 0.0);
  }
};

}  // namespace

TENON_PLUGIN("tenon.lora-transformers-conv1d", "0.1.0", LoraTransformersConv1d)
