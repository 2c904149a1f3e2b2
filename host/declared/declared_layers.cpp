#include "declared/declared_layers.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/suggest.h"

namespace tenon {
namespace {

constexpr std::string_view kPrefix = "torch.nn.";

std::string short_type(const DeclaredLayer& layer) {
  return layer.type.starts_with(kPrefix) ? layer.type.substr(kPrefix.size()) : layer.type;
}

void linear(DeclaredArguments& arguments, LayerBuilder& builder) {
  const std::int64_t in = arguments.size("in_features");
  const std::int64_t out = arguments.size("out_features");
  const bool bias = arguments.truth("bias", true);
  std::vector<NamedArgument> given{
      {"input", builder.running()},
      {"weight", builder.parameter("weight", {out, in}, "kaiming_uniform", kSqrt5)}};
  if (bias) {
    const double bound = 1 / std::sqrt(static_cast<double>(in));
    given.push_back({"bias", builder.parameter("bias", {out}, "uniform", -bound, bound)});
  }
  builder.apply("aten::linear", std::move(given));
}

void embedding(DeclaredArguments& arguments, LayerBuilder& builder) {
  const std::int64_t rows = arguments.size("num_embeddings");
  const std::int64_t size = arguments.size("embedding_dim");
  std::int64_t padding = -1;  // none
  if (arguments.has("padding_idx")) {
    padding = arguments.integer("padding_idx");
    if (padding < 0) padding += rows;
    if (padding < 0 || padding >= rows) arguments.fail("`padding_idx` is not a row");
  }
  const bool by_frequency = arguments.truth("scale_grad_by_freq", false);
  const Argument weight = builder.parameter("weight", {rows, size}, "normal", 0, 1);
  if (padding >= 0) builder.tensor(weight).select(0, padding).zero_();
  builder.apply("aten::embedding", {{"weight", weight},
                                    {"indices", builder.running()},
                                    constant("padding_idx", padding),
                                    constant("scale_grad_by_freq", by_frequency)});
}

// A row of ids is one bag.
void embedding_bag(DeclaredArguments& arguments, LayerBuilder& builder) {
  const std::vector<std::string> modes{"sum", "mean", "max"};  // as aten::embedding_bag counts them
  const std::int64_t rows = arguments.size("num_embeddings");
  const std::int64_t size = arguments.size("embedding_dim");
  const std::string mode = arguments.choice("mode", "mean", modes);
  const Argument bag = builder.call(
      "aten::sym_size.int", {{"self", builder.running()}, constant("dim", std::int64_t{1})}, true);
  const Argument count = builder.call("aten::sym_numel", {{"self", builder.running()}}, true);
  const Argument starts =
      builder.call("aten::arange.start_step", {constant("start", std::int64_t{0}),
                                               {"end", count},
                                               {"step", bag},
                                               constant("dtype", at::kLong)});
  const Argument ids =
      builder.call("aten::reshape",
                   {{"self", builder.running()}, constant("shape", std::vector<std::int64_t>{-1})});
  builder.apply_first_of(
      "aten::embedding_bag", 4,
      {{"weight", builder.parameter("weight", {rows, size}, "normal", 0, 1)},
       {"indices", ids},
       {"offsets", starts},
       constant("mode", std::find(modes.begin(), modes.end(), mode) - modes.begin())});
}

void layer_norm(DeclaredArguments& arguments, LayerBuilder& builder) {
  const auto shape = arguments.sizes("normalized_shape", 0);
  const double eps = arguments.real("eps", 1e-5);
  std::vector<NamedArgument> given{
      {"input", builder.running()}, constant("normalized_shape", shape), constant("eps", eps)};
  if (arguments.truth("elementwise_affine", true)) {
    given.push_back({"weight", builder.parameter("weight", shape, "ones")});
    given.push_back({"bias", builder.parameter("bias", shape, "zeros")});
  }
  builder.apply("aten::layer_norm", std::move(given));
}

void batch_norm(DeclaredArguments& arguments, LayerBuilder& builder) {
  const std::int64_t features = arguments.size("num_features");
  const double eps = arguments.real("eps", 1e-5);
  const double momentum = arguments.real("momentum", 0.1);
  std::vector<NamedArgument> given{{"input", builder.running()}};
  if (arguments.truth("affine", true)) {
    given.push_back({"weight", builder.parameter("weight", {features}, "ones")});
    given.push_back({"bias", builder.parameter("bias", {features}, "zeros")});
  }
  given.push_back({"running_mean", builder.buffer("running_mean", at::zeros({features}))});
  given.push_back({"running_var", builder.buffer("running_var", at::ones({features}))});
  given.push_back(constant("training", false));
  given.push_back(constant("momentum", momentum));
  given.push_back(constant("eps", eps));
  given.push_back(constant("cudnn_enabled", false));
  const Argument batches = builder.buffer("num_batches_tracked", at::zeros({}, at::kLong));
  builder.call("aten::add_.Tensor", {{"self", batches}, constant("other", std::int64_t{1})});
  builder.apply("aten::batch_norm", std::move(given));
}

const DeclaredBuilders& builders() {
  static const DeclaredBuilders kBuilders = [] {
    DeclaredBuilders all{
        {"Linear", linear},         {"Embedding", embedding},    {"EmbeddingBag", embedding_bag},
        {"LayerNorm", layer_norm},  {"BatchNorm1d", batch_norm}, {"BatchNorm2d", batch_norm},
        {"BatchNorm3d", batch_norm}};
    all.merge(activation_builders());
    all.merge(convolution_builders());
    all.merge(recurrent_builders());
    return all;
  }();
  return kBuilders;
}

}  // namespace

std::string declared_type(const DeclaredLayer& layer) {
  return std::string(kPrefix) + short_type(layer);
}

bool takes_ids(const DeclaredLayer& layer) { return short_type(layer).starts_with("Embedding"); }

void build_declared_layer(const DeclaredLayer& layer, LayerBuilder& builder) {
  DeclaredArguments arguments(layer);
  const std::string type = short_type(layer);
  const auto found = builders().find(type);
  if (found == builders().end()) {
    std::vector<std::string> known;
    for (const auto& [name, unused] : builders()) known.push_back(name);
    const std::string near = did_you_mean(type, known);
    arguments.fail("type `" + layer.type + "` cannot be declared in a config",
                   (near.empty() ? "" : near + " ") + "known: " + join(known) +
                       "; any other model comes as an exported program, [model] path");
  }
  found->second(arguments, builder);
  arguments.finish();
}

}  // namespace tenon
