#pragma once

#include <tenon/callable_model.h>
#include <torch/nn/modules.h>
#include <torch/nn/utils/rnn.h>

#include <cmath>
#include <string>
#include <tuple>

// Models that use what the others do not: rarer layers, and what LibTorch's users do around layers.
namespace tenon {
namespace nn = torch::nn;
using at::Tensor;

// A transposed convolution that pads its output, joined to what was skipped.
struct PaddedUNetImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    const Tensor bottom = at::relu(down(x));
    const Tensor fitted = exact->forward(bottom, std::vector<std::int64_t>{x.size(2), x.size(3)});
    return leave(at::cat({up(bottom), fitted, x}, 1));
  }
  nn::Conv2d down =
      register_module("down", nn::Conv2d(nn::Conv2dOptions(2, 4, 3).stride(2).padding(1)));
  nn::ConvTranspose2d up = register_module(
      "up", nn::ConvTranspose2d(
                nn::ConvTranspose2dOptions(4, 4, 3).stride(2).padding(1).output_padding(1)));
  nn::ConvTranspose2d exact = register_module(
      "exact",
      nn::ConvTranspose2d(nn::ConvTranspose2dOptions(4, 2, 3).stride(2).padding(1).groups(2)));
  nn::Conv2d leave = register_module("leave", nn::Conv2d(8, 1, 1));
};

// Norms of every kind, and what has a parameter but no matrix.
struct NormsImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    Tensor y = response(instance(group(conv(x))));
    y = leaky(batch(y)) + at::celu(layer(y));
    return fc(y.mean({2, 3}));
  }
  nn::Conv2d conv = register_module(
      "conv", nn::Conv2d(nn::Conv2dOptions(2, 4, 3).padding(1).padding_mode(torch::kCircular)));
  nn::GroupNorm group = register_module("group", nn::GroupNorm(2, 4));
  nn::InstanceNorm2d instance = register_module(
      "instance",
      nn::InstanceNorm2d(nn::InstanceNorm2dOptions(4).affine(true).track_running_stats(true)));
  nn::LocalResponseNorm response = register_module("response", nn::LocalResponseNorm(2));
  nn::BatchNorm2d batch = register_module("batch", nn::BatchNorm2d(4));
  nn::PReLU leaky = register_module("leaky", nn::PReLU());
  nn::LayerNorm layer = register_module("layer", nn::LayerNorm(nn::LayerNormOptions({6, 6})));
  nn::Linear fc = register_module("fc", nn::Linear(4, 3));
};

// Rows of words, flattened, with their offsets and weights.
struct WeightedBagImpl : nn::Module {
  Tensor forward(const Tensor& ids, const Tensor& weights) {
    const Tensor offsets = at::arange(0, ids.numel(), ids.size(1), at::kLong);
    return head(bag->forward(ids.flatten(), offsets, weights.flatten()));
  }
  nn::EmbeddingBag bag =
      register_module("bag", nn::EmbeddingBag(nn::EmbeddingBagOptions(9, 4).mode(torch::kSum)));
  nn::Linear head = register_module("head", nn::Linear(4, 2));
};

// Attention over padded rows (batch, length, features), with all of its options.
struct PaddedAttentionImpl : nn::Module {
  Tensor forward(const Tensor& x, const Tensor& memory, const Tensor& padding) {
    const Tensor query = x.transpose(0, 1);
    const Tensor keys = memory.transpose(0, 1);
    return std::get<0>(attention(query, keys, keys, padding > 0, /*need_weights=*/false))
        .transpose(0, 1);
  }
  nn::MultiheadAttention attention = register_module(
      "attention",
      nn::MultiheadAttention(
          nn::MultiheadAttentionOptions(8, 2).kdim(6).vdim(6).add_bias_kv(true).add_zero_attn(
              true)));
};

// Own attention by the fused operator, rotary positions computed from the length.
struct RotaryImpl : nn::Module {
  static Tensor rotate(const Tensor& x) {
    const std::int64_t half = x.size(-1) / 2;
    const Tensor frequencies = at::pow(10000.0, -at::arange(half) / static_cast<double>(half));
    const Tensor angles = at::outer(at::arange(x.size(-2)), frequencies);
    const auto parts = x.split(half, -1);
    return at::cat({parts[0] * angles.cos() - parts[1] * angles.sin(),
                    parts[1] * angles.cos() + parts[0] * angles.sin()},
                   -1);
  }
  Tensor heads(const Tensor& x) {
    return x.view({x.size(0), x.size(1), 2, x.size(2) / 2}).transpose(1, 2);
  }
  Tensor forward(const Tensor& x) {
    const Tensor mixed = at::scaled_dot_product_attention(
        rotate(heads(query(x))), rotate(heads(key(x))), heads(value(x)), {}, 0.0, true);
    return out(mixed.transpose(1, 2).reshape({x.size(0), x.size(1), -1})) + x;
  }
  nn::Linear query = register_module("query", nn::Linear(8, 8));
  nn::Linear key = register_module("key", nn::Linear(8, 8));
  nn::Linear value = register_module("value", nn::Linear(8, 8));
  nn::Linear out = register_module("out", nn::Linear(8, 8));
};

// A vocabulary's matrix that the head uses too, by assigning one member to the other.
struct TiedHeadImpl : nn::Module {
  TiedHeadImpl() { head->weight = embedding->weight; }
  Tensor forward(const Tensor& ids) { return head(at::tanh(fc(embedding(ids)))); }
  nn::Embedding embedding = register_module("embedding", nn::Embedding(7, 5));
  nn::Linear fc = register_module("fc", nn::Linear(5, 5));
  nn::Linear head = register_module("head", nn::Linear(nn::LinearOptions(5, 7).bias(false)));
};

// A recurrent layer that projects its state, from states that are inputs too.
struct StatefulLstmImpl : nn::Module {
  std::tuple<Tensor, std::tuple<Tensor, Tensor>> forward(const Tensor& x, const Tensor& hidden,
                                                         const Tensor& cell) {
    return lstm(x.transpose(0, 1),
                std::make_tuple(hidden.unsqueeze(0).contiguous(), cell.unsqueeze(0).contiguous()));
  }
  nn::LSTM lstm = register_module("lstm", nn::LSTM(nn::LSTMOptions(3, 5).proj_size(2)));
};

// A cell over time whose two states start as one tensor, and of which the last leaves one unused.
struct CellLoopImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    Tensor hidden = at::zeros({x.size(0), 6});
    Tensor memory = hidden;
    for (const Tensor& step : x.unbind(1)) {
      std::tie(hidden, memory) = cell(step, std::make_tuple(hidden, memory));
    }
    return out(hidden);
  }
  nn::LSTMCell cell = register_module("cell", nn::LSTMCell(3, 6));
  nn::Linear out = register_module("out", nn::Linear(6, 2));
};

// Patches of an image as tokens, a class token before them, positions learned.
struct PatchesImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    const Tensor patches = embed(x).flatten(2).transpose(1, 2);
    const Tensor tokens = at::cat({token.expand({x.size(0), -1, -1}), patches}, 1) + positions;
    return head(norm(mix(tokens.transpose(1, 2)).transpose(1, 2)).select(1, 0));
  }
  nn::Conv2d embed = register_module("embed", nn::Conv2d(nn::Conv2dOptions(3, 6, 4).stride(4)));
  nn::Conv1d mix =
      register_module("mix", nn::Conv1d(nn::Conv1dOptions(6, 6, 3).padding(1).groups(2)));
  nn::LayerNorm norm = register_module("norm", nn::LayerNorm(nn::LayerNormOptions({6})));
  nn::Linear head = register_module("head", nn::Linear(6, 3));
  Tensor token = register_parameter("token", at::randn({1, 1, 6}));
  Tensor positions = register_parameter("positions", at::randn({1, 5, 6}));
};

// Every kind of dropout.
struct DropoutsImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    const Tensor y = channels(conv(x)).mean({2, 3});
    return fc(alpha(at::selu(y)) + feature(y) + nn::functional::dropout(y, drop()));
  }
  nn::functional::DropoutFuncOptions drop() {
    return nn::functional::DropoutFuncOptions().p(0.3).training(is_training());
  }
  nn::Conv2d conv = register_module("conv", nn::Conv2d(2, 4, 3));
  nn::Dropout2d channels = register_module("channels", nn::Dropout2d(0.5));
  nn::AlphaDropout alpha = register_module("alpha", nn::AlphaDropout(0.2));
  nn::FeatureAlphaDropout feature = register_module("feature", nn::FeatureAlphaDropout(0.2));
  nn::Linear fc = register_module("fc", nn::Linear(4, 3));
};

// Sums over what a mask leaves, whose number follows the data; frequencies; unfolded windows.
struct SignalsImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    const Tensor y = fc(x);
    const Tensor spectrum = at::fft_rfft(y).abs();
    const Tensor windows = y.unfold(1, 3, 2).amax(-1);
    const Tensor kept = y.masked_select(y > 0).sum();
    return at::cat({spectrum, windows, last(y) * kept}, 1);
  }
  nn::Linear fc = register_module("fc", nn::Linear(6, 8));
  nn::Linear last = register_module("last", nn::Linear(8, 2));
};

// In half the precision, and back.
struct HalvedImpl : nn::Module {
  HalvedImpl() { to(at::kBFloat16); }
  Tensor forward(const Tensor& x) {
    const Tensor y = at::gelu(fc(x.to(at::kBFloat16)));
    return last(y).to(at::kFloat).log_softmax(-1);
  }
  nn::Linear fc = register_module("fc", nn::Linear(8, 16));
  nn::Linear last = register_module("last", nn::Linear(16, 4));
};

// The number of rows in arithmetic that is C++'s: halves, squares, negatives, minima.
struct ArithmeticImpl : nn::Module {
  Tensor forward(const Tensor& x) {
    const std::int64_t rows = x.size(0);
    const std::int64_t length = x.size(1);
    const Tensor y = fc(x).view({rows * length, 3});
    const Tensor pairs = at::arange(length * rows).view({rows, length, 1}) / double(length);
    const Tensor early = y.slice(0, 0, rows * length / 2 + 1).sum();
    return (y.view({-1, length, 3}) + pairs + early).roll(-1, 1).narrow(1, 1, length - 1);
  }
  nn::Linear fc = register_module("fc", nn::Linear(4, 3));
};

}  // namespace tenon
