// Declared layers without parameters: activations, pooling, reshaping.
#include "declared/declared_layers.h"

namespace tenon {
namespace {

DeclaredBuilder plain(const char* op) {
  return [op](DeclaredArguments&, LayerBuilder& builder) {
    builder.apply(op, {{"self", builder.running()}});
  };
}

DeclaredBuilder along_dimension(const char* op) {
  return [op](DeclaredArguments& arguments, LayerBuilder& builder) {
    builder.apply(op, {{"self", builder.running()}, constant("dim", arguments.integer("dim"))});
  };
}

DeclaredBuilder max_pool(const char* op, std::size_t dimensions) {
  return [op, dimensions](DeclaredArguments& arguments, LayerBuilder& builder) {
    const auto kernel = arguments.sizes("kernel_size", dimensions);
    const auto stride = arguments.has("stride") ? arguments.sizes("stride", dimensions) : kernel;
    const auto padding = arguments.sizes("padding", dimensions, 0);
    builder.apply(op, {{"self", builder.running()},
                       constant("kernel_size", kernel),
                       constant("stride", stride),
                       constant("padding", padding)});
  };
}

DeclaredBuilder adaptive_pool(const char* op, std::size_t dimensions) {
  return [op, dimensions](DeclaredArguments& arguments, LayerBuilder& builder) {
    builder.apply(op, {{"self", builder.running()},
                       constant("output_size", arguments.sizes("output_size", dimensions))});
  };
}

void dropout(DeclaredArguments& arguments, LayerBuilder& builder) {
  builder.apply("aten::dropout", {{"input", builder.running()},
                                  constant("p", arguments.real("p", 0.5)),
                                  constant("train", false)});
}

void gelu(DeclaredArguments& arguments, LayerBuilder& builder) {
  const std::string approximate = arguments.choice("approximate", "none", {"none", "tanh"});
  builder.apply("aten::gelu", {{"self", builder.running()}, constant("approximate", approximate)});
}

void leaky_relu(DeclaredArguments& arguments, LayerBuilder& builder) {
  builder.apply("aten::leaky_relu",
                {{"self", builder.running()},
                 constant("negative_slope", arguments.real("negative_slope", 0.01))});
}

void flatten(DeclaredArguments& arguments, LayerBuilder& builder) {
  builder.apply("aten::flatten.using_ints",
                {{"self", builder.running()},
                 constant("start_dim", arguments.integer("start_dim", 1)),
                 constant("end_dim", arguments.integer("end_dim", -1))});
}

void unflatten(DeclaredArguments& arguments, LayerBuilder& builder) {
  builder.apply("aten::unflatten.int", {{"self", builder.running()},
                                        constant("dim", arguments.integer("dim")),
                                        constant("sizes", arguments.sizes("unflattened_size", 0))});
}

}  // namespace

DeclaredBuilders activation_builders() {
  return {{"Identity", plain("aten::alias")},
          {"ReLU", plain("aten::relu")},
          {"SiLU", plain("aten::silu")},
          {"Tanh", plain("aten::tanh")},
          {"Sigmoid", plain("aten::sigmoid")},
          {"GELU", gelu},
          {"LeakyReLU", leaky_relu},
          {"Softmax", along_dimension("aten::softmax.int")},
          {"LogSoftmax", along_dimension("aten::log_softmax.int")},
          {"MaxPool1d", max_pool("aten::max_pool1d", 1)},
          {"MaxPool2d", max_pool("aten::max_pool2d", 2)},
          {"AdaptiveAvgPool1d", adaptive_pool("aten::adaptive_avg_pool1d", 1)},
          {"AdaptiveAvgPool2d", adaptive_pool("aten::adaptive_avg_pool2d", 2)},
          {"Dropout", dropout},
          {"Flatten", flatten},
          {"Unflatten", unflatten}};
}

}  // namespace tenon
