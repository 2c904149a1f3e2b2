// A gradient of its own: y = W x + b + u (v . x), whose term keeps nothing but x for the gradient.
#include <tenon/sdk.hpp>

using tenon::Tensor;

// x (n, in), v (1, in), u (out, 1) -> (n, out)
struct RankOne : tenon::Function<RankOne> {
  static constexpr const char* kName = "author.rank-one";
  static constexpr std::uint32_t kOutputs = 1;
  static constexpr std::uint32_t kSaved = 3;
  struct Context {};

  static Tensors forward(const Context&, const Tensors& inputs, Tensors& saved) {
    saved = inputs;
    return {linear(linear(inputs[0], inputs[1]), inputs[2])};
  }
  static Tensors backward(const Context&, const Tensors& saved, const Tensors& gradients,
                          const Needed& needed) {
    const Tensor inner = matmul(gradients[0], saved[2]);  // (n, 1)
    Tensors out(3);
    if (needed[0] != 0) out[0] = matmul(inner, saved[1]);
    if (needed[1] != 0) out[1] = matmul(transpose(inner, 0, 1), saved[0]);
    if (needed[2] != 0) {
      out[2] = matmul(transpose(gradients[0], 0, 1), linear(saved[0], saved[1]));
    }
    return out;
  }
};

struct RankOneLinear : tenon::Layer<RankOneLinear> {
  static constexpr tenon::layer_type kType{
      .id = "author.rank-one-linear", .method = "lora", .base = "torch.nn.Linear"};

  static void add_adapter(Setup& setup) {
    const tenon::Shape shape = setup.base().weight("weight").shape;
    setup.parameter("v", {1, shape[1]}, tenon::Init::kaiming_uniform());
    setup.parameter("u", {shape[0], 1}, tenon::Init::zeros());
  }
  static Outputs forward(Call& call) {
    const Tensor base = call.base()[0];
    const Tensor x = call.input();
    const Tensor flat = reshape(x, {-1, x.size(-1)});
    Tensor y = base;
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor term = RankOne::apply({}, {flat, adapter.parameter(0), adapter.parameter(1)})[0];
      y = add(y, reshape(term, base.shape()), adapter.scaling());
    }
    return y;
  }
  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (weight.name != "weight") return {};
    Tensor merged = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      merged = add(merged, matmul(adapter.parameter(1), adapter.parameter(0)), adapter.scaling());
    }
    return merged;
  }
};

TENON_PLUGIN("author.rank-one", "1.0.0", RankOneLinear)
