// Declared LSTM, GRU and RNN. As in a chain of modules the outputs of all time steps go on, the
// last state does not; it starts at zero.
#include <cmath>

#include "declared/declared_layers.h"

namespace tenon {
namespace {

struct Recurrent {
  std::string op;           // "aten::lstm.input"
  std::int64_t gates;       // rows of a weight are gates * hidden_size
  std::size_t state_count;  // an LSTM has a cell beside the hidden state
};

NamedArgument tensors(const char* name, std::vector<Argument> items) {
  return {name, {Argument::List{std::move(items)}}};
}

// Stops an input of another shape, which LibTorch's kernels read beyond its end.
void check_input(LayerBuilder& builder, std::int64_t input_size) {
  builder.apply("aten::unflatten.int", {{"self", builder.running()},
                                        constant("dim", std::int64_t{2}),
                                        constant("sizes", std::vector<std::int64_t>{input_size})});
}

Argument zeros(LayerBuilder& builder, std::int64_t layers, const Argument& batch,
               std::int64_t size) {
  return builder.call(
      "aten::new_zeros",
      {{"self", builder.running()},
       {"size", {Argument::List{{{c10::IValue(layers)}, batch, {c10::IValue(size)}}}}}});
}

DeclaredBuilder recurrent(const Recurrent& kind) {
  return [kind](DeclaredArguments& arguments, LayerBuilder& builder) {
    const bool is_lstm = kind.state_count == 2;
    const std::int64_t input_size = arguments.size("input_size");
    const std::int64_t hidden = arguments.size("hidden_size");
    const std::int64_t layers = arguments.integer("num_layers", 1);
    const bool bias = arguments.truth("bias", true);
    const bool batch_first = arguments.truth("batch_first", false);
    const bool bidirectional = arguments.truth("bidirectional", false);
    const double dropout = arguments.real("dropout", 0);
    const std::int64_t projected = is_lstm ? arguments.integer("proj_size", 0) : 0;
    if (layers < 1) arguments.fail("`num_layers` must be at least 1");
    if (projected < 0 || projected >= hidden) {
      arguments.fail("`proj_size` must be less than hidden_size");
    }
    const std::int64_t directions = bidirectional ? 2 : 1;
    const std::int64_t out = projected > 0 ? projected : hidden;
    const double bound = 1 / std::sqrt(static_cast<double>(hidden));

    std::vector<Argument> parameters;
    const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
      parameters.push_back(builder.parameter(name, std::move(shape), "uniform", -bound, bound));
    };
    for (std::int64_t i = 0; i < layers * directions; ++i) {
      const std::string suffix =
          "_l" + std::to_string(i / directions) + (i % directions == 1 ? "_reverse" : "");
      const std::int64_t in = i < directions ? input_size : out * directions;
      add("weight_ih" + suffix, {kind.gates * hidden, in});
      add("weight_hh" + suffix, {kind.gates * hidden, out});
      if (bias) add("bias_ih" + suffix, {kind.gates * hidden});
      if (bias) add("bias_hh" + suffix, {kind.gates * hidden});
      if (projected > 0) add("weight_hr" + suffix, {projected, hidden});
    }

    check_input(builder, input_size);
    const Argument batch = builder.call(
        "aten::sym_size.int",
        {{"self", builder.running()}, constant("dim", std::int64_t{batch_first ? 0 : 1})}, true);
    std::vector<Argument> states{zeros(builder, layers * directions, batch, out)};
    if (is_lstm) states.push_back(zeros(builder, layers * directions, batch, hidden));

    std::vector<NamedArgument> given{{"input", builder.running()}};
    given.push_back(is_lstm ? tensors("hx", states) : NamedArgument{"hx", states[0]});
    given.push_back(tensors("params", parameters));
    given.push_back(constant("has_biases", bias));
    given.push_back(constant("num_layers", layers));
    given.push_back(constant("dropout", dropout));
    given.push_back(constant("train", false));
    given.push_back(constant("bidirectional", bidirectional));
    given.push_back(constant("batch_first", batch_first));
    builder.apply_first_of(kind.op, 1 + kind.state_count, std::move(given));
  };
}

void rnn(DeclaredArguments& arguments, LayerBuilder& builder) {
  const std::string nonlinearity = arguments.choice("nonlinearity", "tanh", {"tanh", "relu"});
  recurrent({"aten::rnn_" + nonlinearity + ".input", 1, 1})(arguments, builder);
}

}  // namespace

DeclaredBuilders recurrent_builders() {
  return {{"LSTM", recurrent({"aten::lstm.input", 4, 2})},
          {"GRU", recurrent({"aten::gru.input", 3, 1})},
          {"RNN", rnn}};
}

}  // namespace tenon
