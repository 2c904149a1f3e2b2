#include "check/trial_base.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "declared/declared_model.h"
#include "graph/parameter_init.h"
#include "plan/weight_targets.h"

namespace tenon {
namespace {

using Sizes = std::vector<std::int64_t>;

struct Declaration {
  const char* type;
  OptionTable arguments;
  Sizes input;
  std::int64_t id_count = 0;  // the input is ids below this
};

// Features and channels are uneven and small, so that a mixed-up dimension shows, or even and wide.
std::vector<Declaration> declarations(TrialSize size) {
  const auto choose = [&](std::int64_t small, std::int64_t wide) {
    return size == TrialSize::kSmall ? small : wide;
  };
  const std::int64_t inputs = choose(5, 256);
  const std::int64_t outputs = choose(4, 512);
  const std::int64_t channels = choose(4, 64);
  const auto recurrent = [&](const char* type) {
    return Declaration{
        type,
        {{"input_size", channels}, {"hidden_size", choose(3, 64)}, {"batch_first", true}},
        {2, 5, channels}};
  };
  // Of the input, all but the second dimension, its channels.
  const auto convolution = [&](const char* type, Sizes kernel, Sizes input) {
    input[1] = channels;
    return Declaration{type,
                       {{"in_channels", channels},
                        {"out_channels", choose(6, 128)},
                        {"kernel_size", std::move(kernel)}},
                       std::move(input)};
  };
  const auto ids = [&](const char* type) {
    const std::int64_t rows = choose(7, 512);
    return Declaration{type, {{"num_embeddings", rows}, {"embedding_dim", inputs}}, {3, 4}, rows};
  };
  const auto batch_norm = [&](const char* type, Sizes input) {
    input[1] = channels;
    return Declaration{type, {{"num_features", channels}}, std::move(input)};
  };
  return {{"torch.nn.Linear", {{"in_features", inputs}, {"out_features", outputs}}, {3, inputs}},
          {"torch.nn.LayerNorm", {{"normalized_shape", inputs}}, {3, inputs}},
          convolution("torch.nn.Conv1d", {3}, {2, 4, 7}),
          convolution("torch.nn.Conv2d", {3, 2}, {2, 4, 6, 5}),
          convolution("torch.nn.Conv3d", {2, 1, 3}, {2, 4, 3, 4, 5}),
          convolution("torch.nn.ConvTranspose1d", {3}, {2, 4, 5}),
          convolution("torch.nn.ConvTranspose2d", {3, 2}, {2, 4, 3, 4}),
          convolution("torch.nn.ConvTranspose3d", {2, 1, 3}, {2, 4, 2, 3, 2}),
          ids("torch.nn.Embedding"),
          ids("torch.nn.EmbeddingBag"),
          batch_norm("torch.nn.BatchNorm1d", {3, 4}),
          batch_norm("torch.nn.BatchNorm2d", {3, 4, 2, 5}),
          batch_norm("torch.nn.BatchNorm3d", {3, 4, 2, 3, 2}),
          recurrent("torch.nn.LSTM"),
          recurrent("torch.nn.GRU"),
          recurrent("torch.nn.RNN")};
}

// Normal numbers for floats; a shuffle of the given ones for ids, which stay in their range.
at::Tensor draw_like(const at::Tensor& tensor, const at::Generator& generator) {
  if (tensor.is_floating_point()) {
    return at::empty(tensor.sizes(), at::kDouble).normal_(0, 1, generator).to(tensor.scalar_type());
  }
  const at::Tensor order =
      at::randperm(tensor.numel(), generator, at::TensorOptions().dtype(at::kLong));
  return tensor.reshape(-1).index_select(0, order).view(tensor.sizes());
}

// Any layer with a matrix does for a layer type of single parameters.
std::string layer_with(const std::string& type) {
  return type == kParameterType ? "torch.nn.Linear" : type;
}

}  // namespace

TrialBase TrialBase::to(at::ScalarType dtype) const {
  TrialBase other = *this;
  const auto convert = [&](at::Tensor& tensor) {
    if (tensor.is_floating_point()) tensor = tensor.detach().to(dtype);
  };
  for (ModelTensor& tensor : other.model.tensors) convert(tensor.tensor);
  for (at::Tensor& input : other.inputs) convert(input);
  for (InputSpec& input : other.model.inputs) {
    if (c10::isFloatingType(input.dtype)) input.dtype = dtype;
  }
  return other;
}

std::vector<at::Tensor> TrialBase::draw_inputs(std::uint64_t seed) const {
  const at::Generator generator = make_generator(seed);
  std::vector<at::Tensor> drawn;
  for (const at::Tensor& input : inputs) drawn.push_back(draw_like(input, generator));
  return drawn;
}

bool can_declare_trial(const std::string& type) {
  return declared_trial_layer(layer_with(type)).has_value();
}

std::optional<DeclaredLayer> declared_trial_layer(const std::string& type, TrialSize size) {
  for (const Declaration& declaration : declarations(size)) {
    if (type == declaration.type) {
      return DeclaredLayer{"layer", type, declaration.arguments, "the check's own model"};
    }
  }
  return std::nullopt;
}

std::optional<TrialBase> declare_trial(const std::string& wanted, TrialSize size) {
  const std::string type = layer_with(wanted);
  for (const Declaration& declaration : declarations(size)) {
    if (type != declaration.type) continue;
    ModelConfig config;
    config.name = "Trial";
    config.layers = {*declared_trial_layer(type, size)};
    TrialBase trial{build_declared_model(config), "layer", {}};
    const at::Generator generator = make_generator(1);
    trial.inputs = {declaration.id_count > 0
                        ? at::randint(declaration.id_count, declaration.input, generator,
                                      at::TensorOptions().dtype(at::kLong))
                        : at::empty(declaration.input).normal_(0, 1, generator)};
    return trial;
  }
  return std::nullopt;
}

}  // namespace tenon
