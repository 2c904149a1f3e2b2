#pragma once

#include <tenon/callable_model.h>
#include <torch/nn/modules.h>

#include <map>
#include <string>
#include <tuple>

// C++ models in all the ways in which people write them, for the tests of capturing.
namespace tenon {
namespace nn = torch::nn;
using at::Tensor;

struct ConvNetImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    Tensor y = at::max_pool2d(at::relu(norm(conv(x))), 2);
    y = depthwise(y);
    at::relu_(y);
    return head(y.view({x.size(0), -1}));
  }
  nn::Conv2d conv = register_module("conv", nn::Conv2d(nn::Conv2dOptions(3, 8, 3).padding(1)));
  nn::BatchNorm2d norm = register_module("norm", nn::BatchNorm2d(8));
  nn::Conv2d depthwise =
      register_module("depthwise", nn::Conv2d(nn::Conv2dOptions(8, 8, 3).groups(8)));
  nn::Linear head = register_module("head", nn::Linear(8 * 2 * 2, 5));
};

struct Conv1dNetImpl : nn::Module {
  Tensor forward(const Tensor& x) { return up(at::gelu(norm(down(x)))); }
  nn::Conv1d down = register_module("down", nn::Conv1d(nn::Conv1dOptions(4, 6, 3).stride(2)));
  nn::GroupNorm norm = register_module("norm", nn::GroupNorm(2, 6));
  nn::ConvTranspose1d up =
      register_module("up", nn::ConvTranspose1d(nn::ConvTranspose1dOptions(6, 4, 3).stride(2)));
};

struct Conv3dNetImpl : nn::Module {
  Tensor forward(const Tensor& x) { return up(prelu(norm(down(x)))).mean({2, 3, 4}); }
  nn::Conv3d down = register_module("down", nn::Conv3d(2, 4, 2));
  nn::InstanceNorm3d norm =
      register_module("norm", nn::InstanceNorm3d(nn::InstanceNorm3dOptions(4).affine(true)));
  nn::PReLU prelu = register_module("prelu", nn::PReLU(nn::PReLUOptions().num_parameters(4)));
  nn::ConvTranspose3d up = register_module("up", nn::ConvTranspose3d(4, 2, 2));
};

struct UpsampleNetImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    return at::upsample_nearest2d(up(x), std::vector<std::int64_t>{x.size(2) * 4, x.size(3) * 4});
  }
  nn::ConvTranspose2d up =
      register_module("up", nn::ConvTranspose2d(nn::ConvTranspose2dOptions(2, 3, 2).stride(2)));
};

struct TaggerImpl : nn::Module {
  Tensor forward(const Tensor& ids) {
    const Tensor states = std::get<0>(lstm(embedding(ids)));
    return head(states);
  }
  nn::Embedding embedding = register_module("embedding", nn::Embedding(11, 6));
  nn::LSTM lstm = register_module(
      "lstm", nn::LSTM(nn::LSTMOptions(6, 5).num_layers(2).bidirectional(true).batch_first(true)));
  nn::Linear head = register_module("head", nn::Linear(10, 4));
};

struct GruNetImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    const auto [states, last] = gru(x);
    return head(states.select(1, -1)) + last.sum();
  }
  nn::GRU gru = register_module("gru", nn::GRU(nn::GRUOptions(3, 5).batch_first(true)));
  nn::Linear head = register_module("head", nn::Linear(5, 2));
};

struct RnnNetImpl : nn::Module {
  std::tuple<Tensor, Tensor> forward(const Tensor& x) { return rnn(x); }
  nn::RNN rnn = register_module(
      "rnn", nn::RNN(nn::RNNOptions(3, 4).nonlinearity(torch::kReLU).batch_first(true)));
};

struct CellsImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    Tensor h = rnn(x, at::ones({x.size(0), 4}));
    h = gru(x, h);
    auto [hidden, cell] = lstm(x, std::make_tuple(h, at::zeros({x.size(0), 4})));
    return at::cat({hidden, cell}, 1);
  }
  nn::RNNCell rnn = register_module("rnn", nn::RNNCell(3, 4));
  nn::GRUCell gru = register_module("gru", nn::GRUCell(3, 4));
  nn::LSTMCell lstm = register_module("lstm", nn::LSTMCell(3, 4));
};

// (sequence, batch, features), as LibTorch's attention wants it.
struct SelfAttentionImpl : nn::Module {
  std::tuple<Tensor, Tensor> forward(const Tensor& x) { return attention(x, x, x); }
  nn::MultiheadAttention attention = register_module("attention", nn::MultiheadAttention(8, 2));
};

struct CrossAttentionImpl : nn::Module {
  Tensor forward(const Tensor& query, const Tensor& memory) {
    return norm(query + std::get<0>(attention(query, memory, memory)));
  }
  nn::MultiheadAttention attention = register_module("attention", nn::MultiheadAttention(8, 2));
  nn::LayerNorm norm = register_module("norm", nn::LayerNorm(nn::LayerNormOptions({8})));
};

struct TransformerNetImpl : nn::Module {
  Tensor forward(const Tensor& x) { return encoder(x); }
  nn::TransformerEncoder encoder = register_module(
      "encoder", nn::TransformerEncoder(
                     nn::TransformerEncoderLayer(
                         nn::TransformerEncoderLayerOptions(8, 2).dim_feedforward(16).dropout(0.1)),
                     2));
};

struct BagImpl : nn::Module {
  Tensor forward(const Tensor& ids) { return head(bag(ids)); }
  nn::EmbeddingBag bag =
      register_module("bag", nn::EmbeddingBag(nn::EmbeddingBagOptions(9, 4).mode(torch::kMean)));
  nn::Linear head = register_module("head", nn::Linear(4, 2));
};

struct BilinearNetImpl : nn::Module {
  Tensor forward(const Tensor& a, const Tensor& b) { return at::tanh(bilinear(a, b)); }
  nn::Bilinear bilinear = register_module("bilinear", nn::Bilinear(3, 4, 5));
};

struct BlockImpl : nn::Module {
  Tensor forward(const Tensor& x) { return x + fc(at::dropout(norm(x), 0.2, is_training())); }
  nn::LayerNorm norm = register_module("norm", nn::LayerNorm(nn::LayerNormOptions({6})));
  nn::Linear fc = register_module("fc", nn::Linear(6, 6));
};
TORCH_MODULE(Block);

// Nested, a residual, a ModuleList, and linear layers on three dimensions.
struct ResidualNetImpl : nn::Module {
  ResidualNetImpl() {
    for (int i = 0; i < 3; ++i) blocks->push_back(Block());
  }
  Tensor forward(Tensor x) {
    for (const auto& block : *blocks) x = block->as<Block>()->forward(x);
    return head(x);
  }
  nn::ModuleList blocks = register_module("blocks", nn::ModuleList());
  nn::Linear head = register_module("head", nn::Linear(nn::LinearOptions(6, 2).bias(false)));
};

// One layer that is called twice.
struct SharedLayerImpl : nn::Module {
  Tensor forward(const Tensor& x) { return fc(at::relu(fc(x))); }
  nn::Linear fc = register_module("fc", nn::Linear(4, 4));
};

// The embedding's weight is also the output projection.
struct TiedImpl : nn::Module {
  TiedImpl() {
    head->weight = embedding->weight;
    head->register_parameter("weight_tied", embedding->weight);
  }
  Tensor forward(const Tensor& ids) {
    return nn::functional::linear(embedding(ids).mean(1), embedding->weight, head->bias);
  }
  nn::Embedding embedding = register_module("embedding", nn::Embedding(7, 5));
  nn::Linear head = register_module("head", nn::Linear(5, 7));
};

// In place, views, slices, several inputs, outputs by name, and one that is an input.
struct ManyWaysImpl : nn::Module {
  std::map<std::string, Tensor> forward(const Tensor& x, const Tensor& y) {
    Tensor a = first(x);
    a.slice(1, 0, 2).mul_(2);
    a += y;
    const auto parts = a.chunk(2, 1);
    Tensor buffer = at::empty({x.size(0), 2}, x.options());
    buffer.zero_();
    buffer.select(1, 0).copy_(parts[0].select(1, 1));
    const Tensor scale = torch::tensor({0.5f, 2.0f});
    return {{"a", second(a) / x.size(0)}, {"b", buffer * scale + offset}, {"same", y}};
  }
  nn::Linear first = register_module("first", nn::Linear(3, 4));
  nn::Linear second = register_module("second", nn::Linear(4, 2));
  Tensor offset = register_parameter("offset", at::full({1, 2}, 0.25));
};

// A layer type of the user's own, a learned position, and a part without gradients.
struct ScaleImpl : nn::Module {
  Tensor forward(const Tensor& x) { return x * weight; }
  Tensor weight = register_parameter("weight", at::full({6}, 1.5));
};
TORCH_MODULE(Scale);
struct OwnTypesImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    Tensor norm;
    {
      const at::NoGradGuard no_grad;
      norm = scale(x).norm(2, {1}, true);
    }
    const Tensor ids = at::arange(x.size(0), at::kLong).remainder(4);
    return fc(scale(x) / norm + position(ids));
  }
  Scale scale = register_module("scale", Scale());
  nn::Embedding position = register_module("position", nn::Embedding(4, 6));
  nn::Linear fc = register_module("fc", nn::Linear(6, 3));
};

// Random numbers in both modes.
struct NoisyImpl : nn::Module {
  Tensor forward(const Tensor& x) { return fc(x + 0.1 * at::randn_like(x)); }
  nn::Linear fc = register_module("fc", nn::Linear(4, 3));
};
}  // namespace tenon
