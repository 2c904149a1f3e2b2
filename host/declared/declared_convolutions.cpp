// Declared convolutions: Conv1d to Conv3d and ConvTranspose1d to ConvTranspose3d.
#include <cmath>

#include "declared/declared_layers.h"

namespace tenon {
namespace {

using Sizes = std::vector<std::int64_t>;

struct Channels {
  std::int64_t in;
  std::int64_t out;
  std::int64_t groups;
};

Channels read_channels(DeclaredArguments& arguments) {
  const Channels channels{arguments.size("in_channels"), arguments.size("out_channels"),
                          arguments.has("groups") ? arguments.size("groups") : 1};
  if (channels.in % channels.groups != 0 || channels.out % channels.groups != 0) {
    arguments.fail("groups must divide in_channels and out_channels, all at least 1");
  }
  return channels;
}

// Weight and bias as PyTorch starts them; fan_in is that of the weight's own layout.
void add_parameters(LayerBuilder& builder, const Sizes& shape, std::int64_t out, bool bias,
                    std::vector<NamedArgument>& given) {
  double fan_in = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) fan_in *= static_cast<double>(shape[i]);
  given.push_back({"weight", builder.parameter("weight", shape, "kaiming_uniform", kSqrt5)});
  if (!bias) return;
  const double bound = 1 / std::sqrt(fan_in);
  given.push_back({"bias", builder.parameter("bias", {out}, "uniform", -bound, bound)});
}

// What PyTorch pads before a convolution whose padding_mode is not "zeros": last dimension first.
Sizes pad_sizes(DeclaredArguments& arguments, const Sizes& kernel, const Sizes& dilation) {
  const std::size_t dimensions = kernel.size();
  Sizes pads;
  if (!arguments.is_text("padding")) {
    const Sizes padding = arguments.sizes("padding", dimensions, 0);
    for (std::size_t i = dimensions; i-- > 0;) pads.insert(pads.end(), 2, padding[i]);
    return pads;
  }
  const bool same = arguments.text("padding", "") == "same";
  for (std::size_t i = dimensions; i-- > 0;) {
    const std::int64_t total = same ? dilation[i] * (kernel[i] - 1) : 0;
    pads.push_back(total / 2);
    pads.push_back(total - total / 2);
  }
  return pads;
}

DeclaredBuilder convolution(std::size_t dimensions) {
  return [dimensions](DeclaredArguments& arguments, LayerBuilder& builder) {
    const Channels channels = read_channels(arguments);
    const Sizes kernel = arguments.sizes("kernel_size", dimensions);
    const Sizes stride = arguments.sizes("stride", dimensions, 1);
    const Sizes dilation = arguments.sizes("dilation", dimensions, 1);
    const bool bias = arguments.truth("bias", true);
    const std::string mode =
        arguments.choice("padding_mode", "zeros", {"zeros", "reflect", "replicate", "circular"});
    std::string op = "aten::conv" + std::to_string(dimensions) + "d";
    NamedArgument padding = constant("padding", Sizes(dimensions, 0));
    if (arguments.is_text("padding")) {
      const std::string text = arguments.choice("padding", "valid", {"valid", "same"});
      if (text == "same" && stride != Sizes(dimensions, 1)) {
        arguments.fail("`padding` \"same\" needs a stride of 1");
      }
      if (mode == "zeros") {
        op += ".padding";
        padding = constant("padding", text);
      }
    } else if (mode == "zeros") {
      padding = constant("padding", arguments.sizes("padding", dimensions, 0));
    }
    if (mode != "zeros") {
      builder.apply("aten::pad", {{"self", builder.running()},
                                  constant("pad", pad_sizes(arguments, kernel, dilation)),
                                  constant("mode", mode)});
    }
    Sizes shape{channels.out, channels.in / channels.groups};
    shape.insert(shape.end(), kernel.begin(), kernel.end());
    std::vector<NamedArgument> given{{"input", builder.running()}};
    add_parameters(builder, shape, channels.out, bias, given);
    given.push_back(constant("stride", stride));
    given.push_back(std::move(padding));
    given.push_back(constant("dilation", dilation));
    given.push_back(constant("groups", channels.groups));
    builder.apply(op, std::move(given));
  };
}

DeclaredBuilder transposed(std::size_t dimensions) {
  return [dimensions](DeclaredArguments& arguments, LayerBuilder& builder) {
    const Channels channels = read_channels(arguments);
    const Sizes kernel = arguments.sizes("kernel_size", dimensions);
    const bool bias = arguments.truth("bias", true);
    Sizes shape{channels.in, channels.out / channels.groups};
    shape.insert(shape.end(), kernel.begin(), kernel.end());
    std::vector<NamedArgument> given{{"input", builder.running()}};
    add_parameters(builder, shape, channels.out, bias, given);
    given.push_back(constant("stride", arguments.sizes("stride", dimensions, 1)));
    given.push_back(constant("padding", arguments.sizes("padding", dimensions, 0)));
    given.push_back(constant("output_padding", arguments.sizes("output_padding", dimensions, 0)));
    given.push_back(constant("dilation", arguments.sizes("dilation", dimensions, 1)));
    given.push_back(constant("groups", channels.groups));
    const std::string overload = dimensions == 1 ? "" : ".input";
    builder.apply("aten::conv_transpose" + std::to_string(dimensions) + "d" +
                      (dimensions == 1 ? "" : ".input"),
                  std::move(given));
  };
}

}  // namespace

DeclaredBuilders convolution_builders() {
  return {{"Conv1d", convolution(1)},         {"Conv2d", convolution(2)},
          {"Conv3d", convolution(3)},         {"ConvTranspose1d", transposed(1)},
          {"ConvTranspose2d", transposed(2)}, {"ConvTranspose3d", transposed(3)}};
}

}  // namespace tenon
