// C3A: the update is made of blocks that are circulant, so that each is one vector and multiplies
// by Fourier transforms (Chen et al. 2024, arXiv:2407.19342; PEFT: tuners/c3a):
//   y_m = (W x + b)_m + (1 / in) sum_n irfft(rfft(x_n) * conj(rfft(w_mn)))
// with x and y cut into blocks of block_size. Element (i, j) of a block is w[(j - i) mod
// block_size].
#include <cmath>
#include <string>
#include <vector>

#include "common/operators.hpp"

namespace {

using tenon::Shape;
using tenon::Tensor;

constexpr const char* kStarts[] = {"xavier_uniform", "kaiming_uniform", "gaussian"};

struct C3a : tenon::Method<C3a> {
  static constexpr tenon::method_type kMethod{.name = "c3a",
                                              .peft_type = "C3A",
                                              .doc = "Blocks of circular convolutions.",
                                              .flags = TENON_METHOD_LAYERS | TENON_METHOD_BIASES};
  static constexpr tenon_option kKeys[] = {
      tenon::option::patterned(
          tenon::option::integer(
              "block_size", 256, {.minimum = 1},
              "The size of a block, which divides a layer's inputs and outputs."),
          "block_size_pattern"),
      tenon::option::either(
          tenon::option::choice("init_weights", "xavier_uniform", kStarts,
                                "true: start as the base; else how it is drawn, false as by "
                                "default."),
          tenon::option::boolean("init_weights", false, ""))};
};

// The inputs of a layer, and its outputs.
struct Sizes {
  std::int64_t in;
  std::int64_t out;
};

Sizes sizes_of(const tenon::Base& base) {
  const Shape weight = base.weight("weight").shape;
  return {weight[1], weight[0]};
}

tenon::Init start_of(const tenon::Setup& setup) {
  const Sizes sizes = sizes_of(setup.base());
  const bool is_switch = setup.option_tag("init_weights") == TENON_VALUE_BOOL;
  if (is_switch && setup.option<bool>("init_weights")) return tenon::Init::zeros();
  const std::string name = is_switch ? kStarts[0] : setup.option<std::string>("init_weights");
  if (name == "gaussian") return tenon::Init::normal(0, 1);
  const auto in = static_cast<double>(sizes.in);
  const double bound = name == "kaiming_uniform"
                           ? std::sqrt(1 / in)
                           : std::sqrt(6 / (in + static_cast<double>(sizes.out)));
  return tenon::Init::uniform(-bound, bound);
}

// x (..., in) by the blocks of the kernel (out / block, in / block, block): (..., out).
Tensor convolve(const Tensor& x, const Tensor& kernel) {
  static const tenon::Operator rfft("aten::fft_rfft");
  static const tenon::Operator irfft("aten::fft_irfft");
  static const tenon::Operator conj("aten::conj_physical");
  static const tenon::Operator einsum("aten::einsum");
  const std::int64_t block = kernel.size(2);
  const std::int64_t in = kernel.size(1) * block;
  Shape blocks = x.shape();
  blocks.back() = kernel.size(1);
  blocks.push_back(block);
  Shape outputs = x.shape();
  outputs.back() = kernel.size(0) * block;
  const Tensor spectrum = rfft(reshape(x, blocks));
  const Tensor factors = conj(rfft(kernel));
  const Tensor products = einsum("...nb,mnb->...mb", tenon::handles_of(spectrum, factors));
  const Tensor y = irfft(products, block);
  return reshape(y, outputs) / static_cast<double>(in);
}

struct C3aLinear : tenon::Layer<C3aLinear> {
  static constexpr tenon::layer_type kType{.id = "tenon.c3a",
                                           .method = "c3a",
                                           .base = "torch.nn.Linear",
                                           .title = "c3a.Linear",
                                           .doc = "An update of circulant blocks."};

  static void validate(const Setup& setup) {
    const auto block = setup.option<std::int64_t>("block_size");
    const Sizes sizes = sizes_of(setup.base());
    if (sizes.in % block == 0 && sizes.out % block == 0) return;
    throw tenon::Failure(TENON_UNSUPPORTED, "block_size " + std::to_string(block) +
                                                " does not divide its " + std::to_string(sizes.in) +
                                                " inputs and " + std::to_string(sizes.out) +
                                                " outputs; block_size_pattern can give it another");
  }

  static void add_adapter(Setup& setup) {
    const auto block = setup.option<std::int64_t>("block_size");
    const Sizes sizes = sizes_of(setup.base());
    setup.parameter("c3a_kernel", {sizes.out / block, sizes.in / block, block}, start_of(setup),
                    TENON_PARAMETER_TRAINABLE | TENON_PARAMETER_KEEP_FP32);
  }

  static Outputs forward(Call& call) {
    Tensor y = call.base()[0];
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor kernel = adapter.parameter(0);
      const Tensor update = convolve(methods::with_dtype(call.input(), kernel.dtype()), kernel);
      y = y + methods::with_dtype(update, y.dtype());
    }
    return y;
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (weight.name != "weight") return {};
    Tensor merged = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor kernel = adapter.parameter(0);
      // What becomes of each input alone is a column of the update.
      const Tensor columns = convolve(methods::identity(merged.size(1), kernel), kernel);
      merged = merged + methods::with_dtype(transpose(columns, 0, 1), merged.dtype());
    }
    return merged;
  }
};

}  // namespace

TENON_PLUGIN("tenon.c3a", "1.0.0", C3a, C3aLinear)
