// The same on torch::stable, LibTorch's interface that later releases keep.
#include <torch/csrc/stable/ops.h>
#include <tenon/sdk.hpp>
#include <tenon/torch/stable.hpp>

namespace {

struct Tanh : tenon::Method<Tanh> {
  static constexpr tenon::method_type kMethod{.name = "tanh", .doc = "A test."};
};

struct TanhLinear : tenon::Layer<TanhLinear> {
  static constexpr tenon::layer_type kType{
      .id = "acme.tanh-linear", .method = "tanh", .base = "torch.nn.Linear"};

  static void add_adapter(Setup& setup) {
    setup.parameter("factor", {setup.base().weight("weight").shape[1]}, tenon::Init::zeros());
  }
  static Outputs forward(Call& call) {
    static const tenon::Operator tanh("aten::tanh");
    const Tensor term = tanh(call.adapter(0).parameter(0)) * call.input();
    // A round trip through torch::stable::Tensor, which owns a handle of its own.
    const torch::stable::Tensor stable = tenon::to_stable(term);
    if (stable.dim() != 2) throw tenon::Failure(TENON_BAD_SHAPE, "the input is no matrix");
    return call.base()[0] + tenon::from_stable(torch::stable::transpose(
                                torch::stable::transpose(stable, 0, 1), 0, 1));
  }
};

}  // namespace

TENON_PLUGIN("acme.tanh", "1.0.0", Tanh, TanhLinear)
