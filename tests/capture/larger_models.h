#pragma once

#include <tenon/callable_model.h>
#include <torch/nn/modules.h>

#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>

// Small forms of whole architectures, as LibTorch's users write them, beside the models of
// models.h, each of which shows one thing.
namespace tenon {
namespace nn = torch::nn;
using at::Tensor;

// GPT: one matrix for query, key and value, a causal mask made in forward, learned positions.
struct CausalBlockImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    const std::int64_t batch = x.size(0);
    const std::int64_t length = x.size(1);
    const std::vector<Tensor> parts = qkv(norm1(x)).chunk(3, -1);
    const auto heads = [&](const Tensor& part) {
      return part.view({batch, length, 2, 4}).transpose(1, 2);
    };
    Tensor scores = heads(parts[0]).matmul(heads(parts[1]).transpose(-2, -1)) / 2.0;
    const Tensor mask = at::ones({length, length}, x.options().dtype(at::kBool)).triu(1);
    scores = scores.masked_fill(mask, -1e9).softmax(-1);
    const Tensor mixed = scores.matmul(heads(parts[2])).transpose(1, 2).contiguous();
    const Tensor y = x + out(mixed.view({batch, length, -1}));
    return y + mlp->forward(norm2(y));
  }
  nn::LayerNorm norm1 = register_module("norm1", nn::LayerNorm(nn::LayerNormOptions({8})));
  nn::LayerNorm norm2 = register_module("norm2", nn::LayerNorm(nn::LayerNormOptions({8})));
  nn::Linear qkv = register_module("qkv", nn::Linear(8, 24));
  nn::Linear out = register_module("out", nn::Linear(8, 8));
  nn::Sequential mlp = register_module(
      "mlp", nn::Sequential(nn::Linear(8, 16), nn::GELU(), nn::Linear(16, 8), nn::Dropout(0.1)));
};
TORCH_MODULE(CausalBlock);
struct GptImpl : nn::Module {
  GptImpl() {
    for (int i = 0; i < 2; ++i) blocks->push_back(CausalBlock());
  }
  Tensor forward(const Tensor& ids) {
    Tensor x = tokens(ids) + positions(at::arange(ids.size(1), ids.options()));
    for (const auto& block : *blocks) x = block->as<CausalBlock>()->forward(x);
    return x.matmul(tokens->weight.t());
  }
  nn::Embedding tokens = register_module("tokens", nn::Embedding(13, 8));
  nn::Embedding positions = register_module("positions", nn::Embedding(16, 8));
  nn::ModuleList blocks = register_module("blocks", nn::ModuleList());
};

// ResNet: an optional shortcut, BatchNorm, pooling, blocks in a Sequential.
struct BasicBlockImpl : nn::Module {
  BasicBlockImpl(std::int64_t in, std::int64_t out, std::int64_t stride)
      : conv1(register_module("conv1",
                              nn::Conv2d(nn::Conv2dOptions(in, out, 3).stride(stride).padding(1)))),
        bn1(register_module("bn1", nn::BatchNorm2d(out))),
        conv2(register_module("conv2", nn::Conv2d(nn::Conv2dOptions(out, out, 3).padding(1)))),
        bn2(register_module("bn2", nn::BatchNorm2d(out))) {
    if (stride == 1) return;
    shortcut = register_module(
        "shortcut",
        nn::Sequential(nn::Conv2d(nn::Conv2dOptions(in, out, 1).stride(stride).bias(false)),
                       nn::BatchNorm2d(out)));
  }
  Tensor forward(const Tensor& x) {
    Tensor y = bn1(conv1(x));
    at::relu_(y);
    y = bn2(conv2(y));
    y += shortcut ? shortcut->forward(x) : x;
    return y.relu_();
  }
  nn::Conv2d conv1;
  nn::BatchNorm2d bn1;
  nn::Conv2d conv2;
  nn::BatchNorm2d bn2;
  nn::Sequential shortcut{nullptr};
};
TORCH_MODULE(BasicBlock);
struct ResNetImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    const Tensor y = layers->forward(x);
    return fc(at::adaptive_avg_pool2d(y, {1, 1}).flatten(1));
  }
  nn::Sequential layers =
      register_module("layers", nn::Sequential(BasicBlock(3, 3, 1), BasicBlock(3, 6, 2)));
  nn::Linear fc = register_module("fc", nn::Linear(6, 4));
};

// U-Net: skip connections, upsampling to the size of another tensor.
struct UNetImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    const Tensor top = at::relu(enter(x));
    const Tensor bottom = at::relu(middle(at::max_pool2d(top, 2)));
    const Tensor up = nn::functional::interpolate(
        bottom, nn::functional::InterpolateFuncOptions()
                    .size(std::vector<std::int64_t>{top.size(2), top.size(3)})
                    .mode(torch::kBilinear)
                    .align_corners(false));
    return leave(at::cat({top, up}, 1));
  }
  nn::Conv2d enter = register_module("enter", nn::Conv2d(nn::Conv2dOptions(2, 4, 3).padding(1)));
  nn::Conv2d middle = register_module("middle", nn::Conv2d(nn::Conv2dOptions(4, 4, 3).padding(1)));
  nn::Conv2d leave = register_module("leave", nn::Conv2d(nn::Conv2dOptions(8, 1, 1)));
};

// A variational autoencoder: a sample in forward, several outputs by name.
struct VaeImpl : nn::Module {
  std::unordered_map<std::string, Tensor> forward(const Tensor& x) {
    const Tensor hidden = encoder->forward(x);
    const Tensor mean = to_mean(hidden);
    const Tensor log_variance = to_variance(hidden);
    const Tensor z = mean + at::randn_like(mean) * (0.5 * log_variance).exp();
    return {{"output", decoder->forward(z)}, {"mean", mean}, {"log_variance", log_variance}};
  }
  nn::Sequential encoder = register_module("encoder", nn::Sequential(nn::Linear(6, 8), nn::ReLU()));
  nn::Linear to_mean = register_module("to_mean", nn::Linear(8, 3));
  nn::Linear to_variance = register_module("to_variance", nn::Linear(8, 3));
  nn::Sequential decoder = register_module(
      "decoder", nn::Sequential(nn::Linear(3, 8), nn::ReLU(), nn::Linear(8, 6), nn::Sigmoid()));
};

// One encoder, a container, on both inputs.
struct SiameseImpl : nn::Module {
  Tensor forward(const Tensor& a, const Tensor& b) {
    return at::cosine_similarity(encoder->forward(a), encoder->forward(b));
  }
  nn::Sequential encoder =
      register_module("encoder", nn::Sequential(nn::Linear(5, 7), nn::Tanh(), nn::Linear(7, 3)));
};

// A mixture of experts, weighted by a gate.
struct ExpertsImpl : nn::Module {
  ExpertsImpl() {
    for (int i = 0; i < 3; ++i) experts->push_back(nn::Linear(5, 4));
  }
  Tensor forward(const Tensor& x) {
    std::vector<Tensor> outputs;
    for (const auto& expert : *experts) outputs.push_back(expert->as<nn::Linear>()->forward(x));
    return at::einsum("be,beo->bo", {gate(x).softmax(-1), at::stack(outputs, 1)});
  }
  nn::Linear gate = register_module("gate", nn::Linear(5, 3));
  nn::ModuleList experts = register_module("experts", nn::ModuleList());
};

// Squeeze and excitation, on a convolution whose output it scales.
struct SqueezeImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    const Tensor y = conv(x);
    const Tensor scale = fc2(at::relu(fc1(y.mean({2, 3})))).sigmoid();
    return (y * scale.view({y.size(0), y.size(1), 1, 1})).sum({2, 3});
  }
  nn::Conv2d conv = register_module("conv", nn::Conv2d(2, 6, 3));
  nn::Linear fc1 = register_module("fc1", nn::Linear(6, 2));
  nn::Linear fc2 = register_module("fc2", nn::Linear(2, 6));
};

// An encoder's state starts a decoder, which feeds itself for as many steps as the target has.
struct Seq2SeqImpl : nn::Module {
  Tensor forward(const Tensor& source, const Tensor& target) {
    Tensor state = std::get<1>(encoder(source)).squeeze(0);
    Tensor input = at::zeros_like(target.select(1, 0));
    std::vector<Tensor> outputs;
    for (std::int64_t step = 0; step < target.size(1); ++step) {
      state = decoder(input, state);
      input = project(state);
      outputs.push_back(input);
    }
    return at::stack(outputs, 1);
  }
  nn::GRU encoder = register_module("encoder", nn::GRU(nn::GRUOptions(3, 5).batch_first(true)));
  nn::GRUCell decoder = register_module("decoder", nn::GRUCell(2, 5));
  nn::Linear project = register_module("project", nn::Linear(5, 2));
};

// LibTorch's whole Transformer, with a mask.
struct TranslatorImpl : nn::Module {
  Tensor forward(const Tensor& source, const Tensor& target) {
    const Tensor mask = nn::TransformerImpl::generate_square_subsequent_mask(target.size(0));
    return transformer->forward(source, target, {}, mask);
  }
  nn::Transformer transformer = register_module(
      "transformer",
      nn::Transformer(nn::TransformerOptions(8, 2, 1, 1).dim_feedforward(12).dropout(0.1)));
};

// A weight that is computed from parameters, and one that is masked.
struct NormedWeightImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    const Tensor weight = v * (g / v.norm(2, {1}, true));
    return fc(at::linear(x, weight)) + at::linear(x, masked * mask);
  }
  Tensor v = register_parameter("v", at::randn({4, 5}));
  Tensor g = register_parameter("g", at::ones({4, 1}));
  Tensor masked = register_parameter("masked", at::randn({3, 5}));
  Tensor mask = register_buffer("mask", at::ones({3, 5}).triu());
  nn::Linear fc = register_module("fc", nn::Linear(4, 3));
};

// Containers in containers, named modules, functions as modules, dropout and BatchNorm.
struct ContainersImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    Tensor y = stem->forward(x);
    for (const auto& item : heads->items()) y = y + item.second->as<nn::Linear>()->forward(y);
    return y * scales[0] + scales[1];
  }
  nn::Sequential stem = register_module(
      "stem", nn::Sequential(nn::Flatten(), nn::Linear(6, 4), nn::BatchNorm1d(4),
                             nn::Functional(at::relu), nn::Dropout(0.25),
                             nn::Unflatten(nn::UnflattenOptions(1, {2, 2})), nn::Flatten()));
  nn::ModuleDict heads = register_module("heads", make_heads());
  nn::ParameterList scales =
      register_module("scales", nn::ParameterList(at::full({4}, 0.5), at::full({4}, 0.25)));

 private:
  static nn::ModuleDict make_heads() {
    const std::vector<std::pair<std::string, std::shared_ptr<nn::Module>>> heads{
        {"first", nn::Linear(4, 4).ptr()},
        {"second", nn::Linear(nn::LinearOptions(4, 4).bias(false)).ptr()}};
    return nn::ModuleDict(heads);
  }
};

// A mean that every forward in training moves on, and a layer that was frozen before.
struct MovingMeanImpl : nn::Module {
  MovingMeanImpl() {
    for (Tensor& parameter : frozen->parameters()) parameter.set_requires_grad(false);
  }
  std::tuple<Tensor, std::optional<Tensor>> forward(const Tensor& x) {
    const Tensor y = frozen(x);
    mean.mul_(0.9).add_(y.detach().mean(0), 0.1);
    return {fc(y - mean), std::nullopt};
  }
  Tensor mean = register_buffer("mean", at::zeros({4}));
  nn::Linear frozen = register_module("frozen", nn::Linear(3, 4));
  nn::Linear fc = register_module("fc", nn::Linear(4, 2));
};

// Masks, indices and conditions that are tensors, and an optional input that is left out.
struct MaskedImpl : nn::Module {
  Tensor forward(const Tensor& x, const std::optional<Tensor>& weights = std::nullopt) {
    Tensor y = fc(x);
    if (weights) y = y * *weights;
    y = at::where(y > 0, y, 0.1 * y);
    const Tensor order = y.argsort(std::int64_t{-1});
    y = y.gather(-1, order).masked_fill(x.isnan().any(-1, true), 0);
    Tensor counts = at::zeros_like(y);
    counts.index_put_({at::arange(y.size(0)), order.select(1, 0)}, at::ones({y.size(0)}), true);
    return last(y + counts);
  }
  nn::Linear fc = register_module("fc", nn::Linear(3, 4));
  nn::Linear last = register_module("last", nn::Linear(4, 2));
};

// In double precision.
struct DoubleImpl : nn::Module {
  DoubleImpl() { to(at::kDouble); }
  Tensor forward(const Tensor& x) { return fc(norm(x.to(at::kDouble))).to(at::kFloat); }
  nn::LayerNorm norm = register_module("norm", nn::LayerNorm(nn::LayerNormOptions({4})));
  nn::Linear fc = register_module("fc", nn::Linear(4, 3));
};

}  // namespace tenon
