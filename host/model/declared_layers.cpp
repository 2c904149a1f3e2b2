#include "model/declared_layers.h"

#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "base/error.h"
#include "base/suggest.h"

namespace tenon {
namespace {

constexpr double kSqrt5 = 2.23606797749978969641;

// The constructor's keyword arguments, each read once; what is left over is an error.
class Arguments {
 public:
  explicit Arguments(const DeclaredLayer& layer) : layer_(layer) {}

  std::int64_t integer(const std::string& name) {
    return require<std::int64_t>(name, "a whole number");
  }
  std::int64_t integer(const std::string& name, std::int64_t otherwise) {
    return has(name) ? integer(name) : otherwise;
  }
  bool truth(const std::string& name, bool otherwise) {
    return has(name) ? require<bool>(name, "true or false") : otherwise;
  }
  std::string text(const std::string& name, const std::string& otherwise) {
    return has(name) ? require<std::string>(name, "a string") : otherwise;
  }
  double real(const std::string& name, double otherwise) {
    if (!has(name)) return otherwise;
    if (const auto* whole = std::get_if<std::int64_t>(&layer_.arguments.at(name))) {
      read_.insert(name);
      return static_cast<double>(*whole);
    }
    return require<double>(name, "a number");
  }
  // One number or `count` of them.
  std::vector<std::int64_t> sizes(const std::string& name, std::size_t count,
                                  std::optional<std::int64_t> otherwise = std::nullopt) {
    if (!has(name) && otherwise) return std::vector<std::int64_t>(count, *otherwise);
    if (has(name) && std::holds_alternative<std::vector<std::int64_t>>(layer_.arguments.at(name))) {
      auto list = require<std::vector<std::int64_t>>(name, "a list of whole numbers");
      if (count != 0 && list.size() != count) {
        fail("`" + name + "` wants " + std::to_string(count) + " numbers");
      }
      return list;
    }
    return std::vector<std::int64_t>(std::max<std::size_t>(count, 1), integer(name));
  }

  void finish() const {
    std::vector<std::string> known(read_.begin(), read_.end());
    for (const auto& [name, value] : layer_.arguments) {
      if (!read_.contains(name)) {
        fail("`" + name + "` is not an argument of " + layer_.type + " here",
             did_you_mean(name, known));
      }
    }
  }

  [[noreturn]] void fail(const std::string& message, const std::string& hint = "") const {
    throw Error({.stage = Stage::kConfig,
                 .message = "layer `" + layer_.name + "`: " + message,
                 .hint = hint,
                 .location = layer_.location});
  }

 private:
  bool has(const std::string& name) {
    read_.insert(name);
    return layer_.arguments.contains(name);
  }
  template <typename T>
  T require(const std::string& name, const char* wanted) {
    read_.insert(name);
    const auto found = layer_.arguments.find(name);
    if (found == layer_.arguments.end()) fail(layer_.type + " needs `" + name + "`");
    const T* value = std::get_if<T>(&found->second);
    if (value == nullptr) fail("`" + name + "` must be " + wanted);
    return *value;
  }

  const DeclaredLayer& layer_;
  std::set<std::string> read_;
};

NamedArgument constant(std::string name, c10::IValue value) {
  return {std::move(name), {std::move(value)}};
}

DeclaredOperator with_weight(std::vector<std::int64_t> weight_shape, std::int64_t fan_in,
                             bool bias) {
  DeclaredOperator op;
  const double bound = fan_in > 0 ? 1.0 / std::sqrt(static_cast<double>(fan_in)) : 0;
  const std::int64_t out = weight_shape.front();
  op.parameters.push_back({"weight", std::move(weight_shape), "kaiming_uniform", kSqrt5, 0});
  op.parameter_arguments.emplace_back("weight");
  if (bias) {
    op.parameters.push_back({"bias", {out}, "uniform", -bound, bound});
    op.parameter_arguments.emplace_back("bias");
  }
  op.input_argument = "input";
  return op;
}

DeclaredOperator linear(Arguments& arguments) {
  const std::int64_t in = arguments.integer("in_features");
  const std::int64_t out = arguments.integer("out_features");
  if (in < 1 || out < 1) arguments.fail("in_features and out_features must be at least 1");
  DeclaredOperator op = with_weight({out, in}, in, arguments.truth("bias", true));
  op.target = "aten::linear";
  return op;
}

DeclaredOperator conv2d(Arguments& arguments) {
  const std::int64_t in = arguments.integer("in_channels");
  const std::int64_t out = arguments.integer("out_channels");
  const std::int64_t groups = arguments.integer("groups", 1);
  const auto kernel = arguments.sizes("kernel_size", 2);
  if (in < 1 || out < 1 || groups < 1 || in % groups != 0 || out % groups != 0) {
    arguments.fail("groups must divide in_channels and out_channels, all at least 1");
  }
  const std::int64_t fan_in = in / groups * kernel[0] * kernel[1];
  DeclaredOperator op =
      with_weight({out, in / groups, kernel[0], kernel[1]}, fan_in, arguments.truth("bias", true));
  op.target = "aten::conv2d";
  op.constants = {constant("stride", arguments.sizes("stride", 2, 1)),
                  constant("padding", arguments.sizes("padding", 2, 0)),
                  constant("dilation", arguments.sizes("dilation", 2, 1)),
                  constant("groups", groups)};
  return op;
}

DeclaredOperator embedding(Arguments& arguments) {
  DeclaredOperator op;
  op.target = "aten::embedding";
  op.input_argument = "indices";
  op.parameters = {{"weight",
                    {arguments.integer("num_embeddings"), arguments.integer("embedding_dim")},
                    "normal",
                    0,
                    1}};
  op.parameter_arguments = {"weight"};
  op.takes_ids = true;
  return op;
}

DeclaredOperator layer_norm(Arguments& arguments) {
  DeclaredOperator op;
  const auto shape = arguments.sizes("normalized_shape", 0);
  op.target = "aten::layer_norm";
  op.input_argument = "input";
  op.constants = {constant("normalized_shape", shape),
                  constant("eps", arguments.real("eps", 1e-5))};
  if (arguments.truth("elementwise_affine", true)) {
    op.parameters = {{"weight", shape, "ones"}, {"bias", shape, "zeros"}};
    op.parameter_arguments = {"weight", "bias"};
  }
  return op;
}

// An operator without parameters.
DeclaredOperator plain(std::string target, std::vector<NamedArgument> constants = {},
                       std::string overload = "") {
  DeclaredOperator op;
  op.target = std::move(target);
  op.overload = std::move(overload);
  op.input_argument = "self";
  op.constants = std::move(constants);
  return op;
}

DeclaredOperator max_pool2d(Arguments& arguments) {
  const auto kernel = arguments.sizes("kernel_size", 2);
  const auto stride = arguments.sizes("stride", 2, 0);
  return plain("aten::max_pool2d",
               {constant("kernel_size", kernel),
                constant("stride", stride == std::vector<std::int64_t>{0, 0} ? kernel : stride),
                constant("padding", arguments.sizes("padding", 2, 0))});
}

DeclaredOperator dropout(Arguments& arguments) {
  DeclaredOperator op =
      plain("aten::dropout", {constant("p", arguments.real("p", 0.5)), constant("train", false)});
  op.input_argument = "input";
  return op;
}

using Builder = std::function<DeclaredOperator(Arguments&)>;

const std::map<std::string, Builder>& builders() {
  static const std::map<std::string, Builder> kBuilders{
      {"Linear", linear},
      {"Conv2d", conv2d},
      {"Embedding", embedding},
      {"LayerNorm", layer_norm},
      {"MaxPool2d", max_pool2d},
      {"Dropout", dropout},
      {"Identity", [](Arguments&) { return plain("aten::alias"); }},
      {"ReLU", [](Arguments&) { return plain("aten::relu"); }},
      {"SiLU", [](Arguments&) { return plain("aten::silu"); }},
      {"Tanh", [](Arguments&) { return plain("aten::tanh"); }},
      {"Sigmoid", [](Arguments&) { return plain("aten::sigmoid"); }},
      {"GELU",
       [](Arguments& a) {
         return plain("aten::gelu", {constant("approximate", a.text("approximate", "none"))});
       }},
      {"LeakyReLU",
       [](Arguments& a) {
         return plain("aten::leaky_relu",
                      {constant("negative_slope", a.real("negative_slope", 0.01))});
       }},
      {"Softmax",
       [](Arguments& a) {
         return plain("aten::softmax", {constant("dim", a.integer("dim"))}, "int");
       }},
      {"LogSoftmax",
       [](Arguments& a) {
         return plain("aten::log_softmax", {constant("dim", a.integer("dim"))}, "int");
       }},
      {"Flatten",
       [](Arguments& a) {
         return plain("aten::flatten",
                      {constant("start_dim", a.integer("start_dim", 1)),
                       constant("end_dim", a.integer("end_dim", -1))},
                      "using_ints");
       }},
  };
  return kBuilders;
}

}  // namespace

DeclaredOperator declare_operator(const DeclaredLayer& layer) {
  constexpr std::string_view kPrefix = "torch.nn.";
  const std::string type =
      layer.type.starts_with(kPrefix) ? layer.type.substr(kPrefix.size()) : layer.type;
  Arguments arguments(layer);
  const auto builder = builders().find(type);
  if (builder == builders().end()) {
    std::vector<std::string> known;
    for (const auto& [name, unused] : builders()) known.push_back(name);
    const std::string near = did_you_mean(type, known);
    arguments.fail("type `" + layer.type + "` cannot be declared in a config",
                   (near.empty() ? "" : near + " ") + "known: " + join(known) +
                       "; any other model comes as an exported program, [model] path");
  }
  DeclaredOperator op = builder->second(arguments);
  arguments.finish();
  op.type = std::string(kPrefix) + type;
  return op;
}

}  // namespace tenon
