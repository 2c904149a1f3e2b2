// LoRA on convolutions: y = conv(x, W) + b + s * B conv(dropout(x), A)   (PEFT:
// tuners/lora/layer.py, _ConvNd). W (out, in / groups, k...); A (r, in, k...), of one group; B
// (out, r / groups, 1...), of the base's groups. The convolution by A is the base itself run on A
// for its weight, so that it has the base's stride, dilation and padding of whatever mode, that of
// its own forward too.
#include <string>
#include <string_view>

#include <tenon/sdk.hpp>

#include "lora/pointwise.hpp"
#include "lora/variants.hpp"

namespace {

using tenon::Shape;
using tenon::Tensor;

Tensor sum(const Tensor& x, std::int64_t dimension) {
  static const tenon::Operator op("aten::sum", "dim_IntList");
  return op(x, Shape{dimension});
}

// The kernel of one group as one for `groups`: block g holds what A applies to the channels of
// group g, so that the sum over the blocks of the output is the convolution by A.
Tensor in_blocks(const Tensor& a, std::int64_t groups) {
  Shape shape = a.shape();
  const std::int64_t r = shape[0];
  shape[1] /= groups;
  Shape split = shape;
  split.insert(split.begin() + 1, groups);
  shape[0] = groups * r;
  return reshape(transpose(reshape(a, split), 0, 1), shape);
}

// out (batch, groups * r, ...) -> (batch, r, ...); without the batch's dimension as well.
Tensor sum_blocks(const Tensor& out, std::int64_t groups, std::size_t kernel_dimensions) {
  Shape shape = out.shape();
  const std::size_t channels = shape.size() - kernel_dimensions - 1;
  shape[channels] /= groups;
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(channels), groups);
  return sum(reshape(out, shape), static_cast<std::int64_t>(channels));
}

Tensor kernel_rows(const Tensor& kernel) { return reshape(kernel, {kernel.size(0), -1}); }

// ||W + s B A|| for each output channel. With groups PEFT reads B A, which has no place in such a
// kernel, in the order of its numbers; so it is read here, or magnitudes would not be exchangeable.
Tensor kernel_norms(const Tensor& weight, const Tensor& a, const Tensor& b, double s) {
  if (a.size(1) == weight.size(1)) {
    return lora::row_norms(kernel_rows(weight), kernel_rows(a), kernel_rows(b), s);
  }
  const Tensor factor = lora::detached(reshape(b, {-1, a.size(0)}));
  const Tensor update = reshape(matmul(factor, lora::detached(kernel_rows(a))), weight.shape());
  const Tensor rows = kernel_rows(add(lora::with_dtype(weight, a.dtype()), update, s));
  return lora::root(lora::sum_of_rows(rows * rows));
}

struct LoraConv : tenon::Layer<LoraConv> {
  static constexpr tenon::layer_type kType{
      .id = "tenon.lora-conv",
      .method = "lora",
      .base = "torch.nn.Conv1d;torch.nn.Conv2d;torch.nn.Conv3d",
      .title = "lora.Conv",
      .doc = "Low-rank update of a convolution, merged exactly unless it has groups.",
      .flags = TENON_LAYER_BESIDE};

  static void validate(const Setup& setup) { lora::check_groups(setup); }

  static void add_adapter(Setup& setup) {
    const auto groups = setup.base().attribute<std::int64_t>("groups");
    Shape a = setup.base().weight("weight").shape;
    Shape b(a.size(), 1);
    b[0] = a[0];
    b[1] = lora::layer_rank(setup) / groups;
    a[0] = lora::layer_rank(setup);
    a[1] *= groups;
    lora::add_pair(setup, a, b);
    Shape magnitude(b.size(), 1);
    magnitude[1] = b[0];
    lora::add_variant(setup, b[0], magnitude);
  }

  static void group(const Setup& setup, std::uint32_t parameter, tenon::Group& group) {
    lora::group_variant(setup, parameter, false, group);
  }
  static lora::Variant prepare(const Setup& setup) { return lora::variant_of(setup); }
  static void initialise(const Setup& setup, Start& start) {
    if (!lora::variant_of(setup).dora) return;
    const Tensor norms = kernel_norms(start.weight("weight"), start.parameter(lora::kA),
                                      start.parameter(lora::kB), start.scaling());
    start.set_parameter(lora::kMagnitude,
                        reshape(norms, start.parameter(lora::kMagnitude).shape()));
  }

  static void check_mergeable(const Setup& setup) {
    lora::require_bias_to_merge(setup);
    require_one_group(setup.base().attribute<std::int64_t>("groups"));
  }

  static Outputs forward(Call& call) {
    const bool fuses = can_fuse(call);
    Tensor y = fuses ? fused(call) : call.base()[0];
    for (std::uint32_t i = fuses ? 1 : 0; i < call.n_adapters(); ++i) {
      y = with_adapter(call, call.adapter(i), y);
    }
    return y;
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    const Tensor kernel = call.weight("weight");
    if (weight.name == "bias") {
      return lora::merged_bias(
          call, weight, [&](const tenon::Adapter& adapter) { return norms_of(adapter, kernel); });
    }
    if (weight.name != "weight") return {};
    Tensor merged = kernel_rows(kernel);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor a = adapter.parameter(lora::kA);
      const Tensor b = adapter.parameter(lora::kB);
      require_one_group(a.size(1) / weight.shape[1]);
      const Tensor delta = matmul(kernel_rows(b), kernel_rows(a));
      const bool dora = adapter.state<lora::Variant>().dora;
      merged =
          lora::merge_rows(merged, adapter, delta, dora ? norms_of(adapter, kernel) : Tensor());
    }
    return reshape(merged, weight.shape);
  }

 private:
  static void require_one_group(std::int64_t groups) {
    if (groups == 1) return;
    throw tenon::Failure(TENON_UNSUPPORTED, "lora_A sees all input channels, a kernel of " +
                                                std::to_string(groups) +
                                                " groups only those of its group");
  }

  static Tensor norms_of(const tenon::Adapter& adapter, const Tensor& kernel) {
    return kernel_norms(kernel, adapter.parameter(lora::kA), adapter.parameter(lora::kB),
                        adapter.scaling());
  }

  // Whether the base is one convolution of one group that pads with zeros, and nothing else.
  static bool can_fuse(const Call& call) {
    const std::string_view name = call.base_info().operator_name();
    const bool is_conv = name == "aten::conv1d" || name == "aten::conv2d" || name == "aten::conv3d";
    return is_conv && call.base_info().attribute<std::int64_t>("groups") == 1 &&
           pads_by_numbers(call) &&
           call.adapter(0).parameter(lora::kA).dtype() == call.input().dtype() &&
           lora::all_plain(call);
  }

  static bool pads_by_numbers(const Call& call) {
    try {
      return call.base_info().find_attribute<Shape>("padding").has_value();
    } catch (const tenon::Failure&) {
      return false;  // "same", which another overload of the operator takes
    }
  }

  // Base and first adapter in one host operator.
  static Tensor fused(const Call& call) {
    static const tenon::Operator lora_conv("tenon::lora_conv");
    const tenon::Adapter adapter = call.adapter(0);
    const auto numbers = [&](const char* name) {
      Shape all = call.base_info().attribute<Shape>(name);
      all.resize(call.weight("weight").shape().size() - 2, all.front());
      return all;
    };
    return lora_conv(call.input(), call.weight("weight"),
                     call.base_info().find_weight("bias") ? call.weight("bias") : Tensor(),
                     adapter.parameter(lora::kA), adapter.parameter(lora::kB), numbers("stride"),
                     numbers("padding"), numbers("dilation"), adapter.scaling(),
                     call.training() ? adapter.state<lora::Variant>().dropout : 0.0);
  }

  // y, the output so far, with one adapter.
  static Tensor with_adapter(const Call& call, const tenon::Adapter& adapter, const Tensor& y) {
    const Tensor weight = call.weight("weight");
    Shape along(weight.shape().size() - 1, 1);
    along[0] = weight.size(0);
    const Tensor x =
        lora::low_rank_input(call, adapter, call.input(), adapter.state<lora::Variant>().dropout);
    Tensor added = term(call, adapter, x);
    const auto& variant = adapter.state<lora::Variant>();
    if (variant.bias) added = added + reshape(adapter.parameter(lora::kBias), along);
    if (!variant.dora) return lora::add_term(y, added, adapter.scaling());
    const Tensor scale =
        lora::dora_scale(adapter.parameter(lora::kMagnitude), norms_of(adapter, weight));
    return lora::add_dora(y, lora::direct_output(call, adapter, y, x, along), added, scale,
                          adapter.scaling(), along);
  }

  static std::int64_t groups_of(const Call& call, const tenon::Adapter& adapter) {
    return adapter.parameter(lora::kA).size(1) / call.base_info().weight("weight").shape[1];
  }

  static Tensor term(const Call& call, const tenon::Adapter& adapter, const Tensor& input) {
    const Tensor a = adapter.parameter(lora::kA);
    const Tensor b = adapter.parameter(lora::kB);
    const std::int64_t groups = groups_of(call, adapter);
    const Tensor kernel = groups == 1 ? a : in_blocks(a, groups);
    Tensor h = call.base({input}, lora::without_bias(call, kernel, kernel.size(0)))[0];
    if (groups > 1) h = sum_blocks(h, groups, a.shape().size() - 2);
    return lora::pointwise(h, b, groups);
  }
};

}  // namespace

TENON_PLUGIN("tenon.lora-conv", "0.1.0", LoraConv)
