// A plugin on LibTorch's own C++ interface: y = W x + b + tanh(p) * x, at::tanh and operators of
// at::Tensor. It runs with exactly the LibTorch that it was built against.
#include <tenon/sdk.hpp>
#include <tenon/torch/libtorch.hpp>

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
    const at::Tensor& x = tenon::to_at(call.input());
    const at::Tensor factor = at::tanh(tenon::to_at(call.adapter(0).parameter(0)));
    const Outputs base = call.base();
    return tenon::from_at(tenon::to_at(base[0]) + factor * x);
  }
};

}  // namespace

TENON_PLUGIN("acme.tanh", "1.0.0", Tanh, TanhLinear)
