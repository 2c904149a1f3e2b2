#include "plugin/lora_conv_function.h"

#include <ATen/ATen.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "plugin/autocast_operands.h"
#include "plugin/dropout_mask.h"

namespace tenon {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Where the tensors stand among the function's arguments.
enum Argument : std::uint8_t { kX, kWeight, kBias, kA, kB, kArguments };

// The numbers of a layer, as autograd keeps them between forward and backward.
struct Geometry {
  std::vector<std::int64_t> stride;
  std::vector<std::int64_t> padding;
  std::vector<std::int64_t> dilation;
  double scaling = 1;
  double dropout = 0;
  std::int64_t seed = 0;  // of the dropout's mask

  explicit Geometry(const LoraConv& layer)
      : stride(layer.stride),
        padding(layer.padding),
        dilation(layer.dilation),
        scaling(layer.scaling),
        dropout(layer.dropout),
        seed(layer.dropout > 0 ? DropoutMask::draw(layer.dropout).seed() : 0) {}
  explicit Geometry(const c10::IValue& saved) {
    const auto& parts = saved.toTupleRef().elements();
    stride = parts[0].toIntVector();
    padding = parts[1].toIntVector();
    dilation = parts[2].toIntVector();
    scaling = parts[3].toDouble();
    dropout = parts[4].toDouble();
    seed = parts[5].toInt();
  }
  c10::IValue saved() const {
    return c10::ivalue::Tuple::create({stride, padding, dilation, scaling, dropout, seed});
  }
  bool drops() const { return dropout > 0; }
  DropoutMask mask() const { return {seed, dropout}; }
  std::vector<std::int64_t> no_output_padding() const {
    return std::vector<std::int64_t>(stride.size(), 0);
  }
  // Whether a kernel of one point reads each point of x once, so that it is a matrix on channels.
  bool is_pointwise(const at::Tensor& kernel) const {
    const auto all = [](const std::vector<std::int64_t>& numbers, std::int64_t value) {
      return std::ranges::all_of(numbers, [&](std::int64_t number) { return number == value; });
    };
    return kernel.numel() == kernel.size(0) * kernel.size(1) && all(stride, 1) && all(padding, 0);
  }
};

at::Tensor convolve(const at::Tensor& x, const at::Tensor& kernel, const at::Tensor& bias,
                    const Geometry& geometry) {
  return at::convolution(x, kernel, bias.defined() ? std::optional(bias) : std::nullopt,
                         geometry.stride, geometry.padding, geometry.dilation, false,
                         geometry.no_output_padding(), 1);
}

// (batch, channels, points): the same memory where that can be.
at::Tensor points(const at::Tensor& x) { return x.reshape({x.size(0), x.size(1), -1}); }

// A kernel of one point as a matrix, for each of the batch.
at::Tensor matrices(const at::Tensor& kernel, std::int64_t batch) {
  return kernel.reshape({1, kernel.size(0), kernel.size(1)})
      .expand({batch, kernel.size(0), kernel.size(1)});
}

// sum += factor * kernel x, in place where `sum` has no gaps; else a new tensor.
at::Tensor add_product(const at::Tensor& sum, const at::Tensor& kernels, const at::Tensor& x,
                       double factor) {
  if (!sum.is_contiguous()) {
    return sum + at::bmm(kernels, x).mul_(factor).view(sum.sizes());
  }
  sum.view({sum.size(0), sum.size(1), -1}).baddbmm_(kernels, x, 1, factor);
  return sum;
}

// The rank-r result of A, (batch, r, points).
at::Tensor low_rank(const at::Tensor& x, const at::Tensor& a, const Geometry& geometry) {
  if (geometry.is_pointwise(a)) return at::bmm(matrices(a, x.size(0)), points(x));
  return points(convolve(x, a, {}, geometry));
}

// Gradients of a convolution in x and its kernel, where they are wanted.
std::tuple<at::Tensor, at::Tensor, at::Tensor> gradients_of(const at::Tensor& g,
                                                            const at::Tensor& x,
                                                            const at::Tensor& kernel,
                                                            const Geometry& geometry,
                                                            std::array<bool, 3> wanted) {
  const std::vector<std::int64_t> bias_shape{kernel.size(0)};
  return at::convolution_backward(
      g, x, kernel, wanted[2] ? at::OptionalIntArrayRef(bias_shape) : std::nullopt, geometry.stride,
      geometry.padding, geometry.dilation, false, geometry.no_output_padding(), 1, wanted);
}

// By plain operators, so that the gradients can be differentiated again.
void differentiable_gradients(const variable_list& saved, const Geometry& geometry,
                              const at::Tensor& g, bool has_bias, variable_list& out) {
  const at::Tensor& x = saved[kX];
  const at::Tensor& a = saved[kA];
  const at::Tensor& b = saved[kB];
  const at::Tensor mask = geometry.drops() ? geometry.mask().tensor_like(x) : at::Tensor();
  const at::Tensor dropped = geometry.drops() ? x * mask : x;
  const at::Tensor low = convolve(dropped, a, {}, geometry);
  const at::Tensor g_rows = points(g);
  const at::Tensor g_low =
      at::matmul(b.reshape({b.size(0), b.size(1)}).t(), g_rows).view(low.sizes()) *
      geometry.scaling;
  const auto [dx, dw, db] = gradients_of(g, x, saved[kWeight], geometry, {true, true, has_bias});
  const auto [term, da, none] = gradients_of(g_low, dropped, a, geometry, {true, true, false});
  out[kX] = dx + (geometry.drops() ? term * mask : term);
  out[kWeight] = dw;
  if (has_bias) out[kBias] = db;
  out[kA] = da;
  out[kB] =
      (at::bmm(g_rows, points(low).transpose(1, 2)).sum(0) * geometry.scaling).view(b.sizes());
}

// The same with the terms of dx in one tensor. `low` is the saved rank-r result.
class FastConvGradients {
 public:
  FastConvGradients(const AutogradContext& context, const variable_list& saved,
                    const Geometry& geometry, const at::Tensor& low)
      : context_(context), saved_(saved), geometry_(geometry), low_(low) {}

  void write(const at::Tensor& g, bool has_bias, variable_list& out) const {
    const at::Tensor& b = saved_[kB];
    const at::Tensor g_rows = points(g);
    const at::Tensor g_low =
        at::bmm(matrices(b, g.size(0)).transpose(1, 2), g_rows).mul_(geometry_.scaling);
    out[kB] = at::bmm(g_rows, low_.transpose(1, 2)).sum(0).mul_(geometry_.scaling).view(b.sizes());

    const std::array<bool, 3> wanted{needs(kX), needs(kWeight), has_bias && needs(kBias)};
    if (std::ranges::count(wanted, true) > 0) {
      std::tie(out[kX], out[kWeight], out[kBias]) =
          gradients_of(g, saved_[kX], saved_[kWeight], geometry_, wanted);
    }
    write_low(g, g_low, out);
  }

 private:
  bool needs(std::size_t argument) const { return context_.needs_input_grad(argument); }

  // The gradients through A.
  void write_low(const at::Tensor& g, const at::Tensor& g_low, variable_list& out) const {
    const at::Tensor& a = saved_[kA];
    const at::Tensor x = geometry_.drops() ? geometry_.mask().apply(saved_[kX]) : saved_[kX];
    if (geometry_.is_pointwise(a)) {
      out[kA] = at::bmm(g_low, points(x).transpose(1, 2)).sum(0).view(a.sizes());
      if (!needs(kX)) return;
      const at::Tensor up = matrices(a, x.size(0)).transpose(1, 2);
      if (!geometry_.drops()) {
        out[kX] = add_product(out[kX], up, g_low, 1);
      } else {
        add_dropped(out[kX], at::bmm(up, g_low).view(x.sizes()));
      }
      return;
    }
    std::vector<std::int64_t> shape = g.sizes().vec();
    shape[1] = a.size(0);
    at::Tensor term;
    std::tie(term, out[kA], std::ignore) =
        gradients_of(g_low.view(shape), x, a, geometry_, {needs(kX), true, false});
    if (!needs(kX)) return;
    if (geometry_.drops()) {
      add_dropped(out[kX], term);
    } else {
      out[kX].add_(term);
    }
  }

  void add_dropped(at::Tensor& dx, const at::Tensor& term) const {
    if (dx.is_contiguous()) {
      geometry_.mask().add_masked(dx, term.contiguous());
    } else {
      dx.add_(geometry_.mask().apply(term.contiguous()));
    }
  }

  const AutogradContext& context_;
  const variable_list& saved_;
  const Geometry& geometry_;
  const at::Tensor& low_;
};

struct LoraConvFunction : torch::autograd::Function<LoraConvFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& given_bias, const at::Tensor& a,
                            const at::Tensor& b, const Geometry& geometry) {
    const at::Tensor bias = given_bias.value_or(at::Tensor());
    const at::Tensor low = low_rank(geometry.drops() ? geometry.mask().apply(x) : x, a, geometry);
    at::Tensor y = add_product(convolve(x, weight, bias, geometry), matrices(b, x.size(0)), low,
                               geometry.scaling);
    context->save_for_backward({x, weight, bias, a, b, low});
    context->saved_data["geometry"] = geometry.saved();
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const Geometry geometry(context->saved_data["geometry"]);
    variable_list saved = context->get_saved_variables();
    const at::Tensor low = std::move(saved.back());
    saved.pop_back();
    const bool has_bias = saved[kBias].defined();
    variable_list out(kArguments + 1);  // none for the numbers
    if (at::GradMode::is_enabled()) {
      differentiable_gradients(saved, geometry, gradients[0], has_bias, out);
    } else {
      const at::AutoDispatchBelowADInplaceOrView no_gradients;  // none of these is recorded
      FastConvGradients(*context, saved, geometry, low).write(gradients[0], has_bias, out);
    }
    return out;
  }
};

}  // namespace

at::Tensor lora_conv(const at::Tensor& input, const LoraConv& layer) {
  const bool is_single = input.dim() == layer.weight.dim() - 1;
  const at::Tensor given = as_autocast_wants(input, input);
  const at::Tensor x = is_single ? given.unsqueeze(0) : given;
  const at::Tensor bias = as_autocast_wants(layer.bias, input);
  const at::Tensor y = LoraConvFunction::apply(x, as_autocast_wants(layer.weight, input),
                                               bias.defined() ? std::optional(bias) : std::nullopt,
                                               as_autocast_wants(layer.a, input),
                                               as_autocast_wants(layer.b, input), Geometry(layer));
  return is_single ? y.squeeze(0) : y;
}

}  // namespace tenon
