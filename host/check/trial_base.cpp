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

// Small, uneven sizes, so that a mixed-up dimension shows.
std::vector<Declaration> declarations() {
  const auto recurrent = [](const char* type) {
    return Declaration{
        type,
        {{"input_size", std::int64_t{4}}, {"hidden_size", std::int64_t{3}}, {"batch_first", true}},
        {2, 5, 4}};
  };
  const auto convolution = [](const char* type, Sizes kernel, Sizes input) {
    return Declaration{type,
                       {{"in_channels", std::int64_t{4}},
                        {"out_channels", std::int64_t{6}},
                        {"kernel_size", std::move(kernel)}},
                       std::move(input)};
  };
  const auto ids = [](const char* type) {
    return Declaration{
        type, {{"num_embeddings", std::int64_t{7}}, {"embedding_dim", std::int64_t{5}}}, {3, 4}, 7};
  };
  const auto batch_norm = [](const char* type, Sizes input) {
    return Declaration{type, {{"num_features", std::int64_t{4}}}, std::move(input)};
  };
  return {{"torch.nn.Linear",
           {{"in_features", std::int64_t{5}}, {"out_features", std::int64_t{4}}},
           {3, 5}},
          {"torch.nn.LayerNorm", {{"normalized_shape", std::int64_t{5}}}, {3, 5}},
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

std::optional<DeclaredLayer> declared_trial_layer(const std::string& type) {
  for (const Declaration& declaration : declarations()) {
    if (type == declaration.type) {
      return DeclaredLayer{"layer", type, declaration.arguments, "the check's own model"};
    }
  }
  return std::nullopt;
}

std::optional<TrialBase> declare_trial(const std::string& wanted) {
  const std::string type = layer_with(wanted);
  for (const Declaration& declaration : declarations()) {
    if (type != declaration.type) continue;
    ModelConfig config;
    config.name = "Trial";
    config.layers = {*declared_trial_layer(type)};
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
