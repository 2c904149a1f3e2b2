// HiRA: a low-rank matrix multiplies the weight, element by element, so that the update has the
// weight's rank (Huang et al. 2025, openreview TwJrTz9cRS; PEFT: tuners/hira/layer.py):
//   W' = W + W * (B A)
// A of a convolution has its kernel; of an embedding (r, rows), with B (size, r).
#include "common/matrix.hpp"
#include "common/weight_layer.hpp"

namespace {

using tenon::Shape;

constexpr const char* kStarts[] = {"gaussian"};

struct Hira : tenon::Method<Hira> {
  static constexpr tenon::method_type kMethod{.name = "hira",
                                              .peft_type = "HIRA",
                                              .doc = "Low-rank factors on a weight's elements.",
                                              .flags = TENON_METHOD_EXCLUDES | TENON_METHOD_LAYERS};
  static constexpr tenon_option kKeys[] = {
      tenon::option::integer("r", 32, {.minimum = 1}, "The rank of the factors."),
      tenon::option::number("hira_dropout", 0, {.minimum = 0, .maximum = 1},
                            "Dropout on what enters the update; embeddings have none."),
      tenon::option::boolean("fan_in_fan_out", false,
                             "PEFT's; has no effect: a layer's type says how its weight lies."),
      tenon::option::either(
          tenon::option::boolean("init_weights", true, "Start as the base, else at random."),
          tenon::option::choice("init_weights", "gaussian", kStarts, ""))};
};

// Whether a start is asked for, true or by its name.
bool starts_as_base(const tenon::Setup& setup) {
  return setup.option_tag("init_weights") == TENON_VALUE_STRING ||
         setup.option<bool>("init_weights");
}

struct State {
  double dropout = 0;
  bool turns = false;  // B A is (out, in), the weight (in, out)
};

// "gaussian" is for fully connected layers; PEFT starts convolutions as it does with true.
tenon::Init start_of_a(const tenon::Setup& setup, bool is_linear) {
  if (!starts_as_base(setup)) return tenon::Init::normal(0, 1);
  const bool gaussian = setup.option_tag("init_weights") == TENON_VALUE_STRING;
  if (gaussian && is_linear) return tenon::Init::normal(0, 1 / setup.option<double>("r"));
  return tenon::Init::kaiming_uniform();
}

struct HiraLayer : methods::AdditiveLayer<HiraLayer> {
  static constexpr tenon::layer_type kType{
      .id = "tenon.hira",
      .method = "hira",
      .base =
          "torch.nn.Linear;torch.nn.Conv1d;torch.nn.Conv2d;torch.nn.Conv3d;"
          "transformers.pytorch_utils.Conv1D",
      .title = "hira.Layer",
      .doc = "Low-rank factors on the elements of a weight."};

  static void validate(const Setup& setup) { methods::refuse_groups(setup.base()); }

  static State prepare(const Setup& setup) {
    return {setup.option<double>("hira_dropout"), methods::is_stored_transposed(setup.base())};
  }

  static void add_adapter(Setup& setup) {
    const auto r = setup.option<std::int64_t>("r");
    Shape weight = setup.base().weight("weight").shape;
    if (methods::is_stored_transposed(setup.base())) std::swap(weight[0], weight[1]);
    Shape a = weight;
    a[0] = r;
    Shape b(weight.size(), 1);
    b[0] = weight[0];
    b[1] = r;
    setup.parameter("hira_A", a, start_of_a(setup, weight.size() == 2));
    setup.parameter("hira_B", b,
                    starts_as_base(setup) ? tenon::Init::zeros() : tenon::Init::normal(0, 1));
  }

  static double input_dropout(const tenon::Adapter& adapter) {
    return adapter.state<State>().dropout;
  }

  static Tensor delta(const methods::Change& change) {
    const Tensor product = matmul(methods::as_matrix(change.adapter.parameter(1)),
                                  methods::as_matrix(change.adapter.parameter(0)));
    const bool turns = change.adapter.state<State>().turns;
    return change.base * reshape(turns ? transpose(product, 0, 1) : product, change.weight.shape);
  }
};

struct HiraEmbedding : methods::AdditiveLayer<HiraEmbedding> {
  static constexpr tenon::layer_type kType{.id = "tenon.hira-embedding",
                                           .method = "hira",
                                           .base = "torch.nn.Embedding",
                                           .title = "hira.Embedding",
                                           .doc = "Low-rank factors on an embedding's elements."};

  static void add_adapter(Setup& setup) {
    const auto r = setup.option<std::int64_t>("r");
    const Shape weight = setup.base().weight("weight").shape;
    setup.parameter("hira_embedding_A", {r, weight[0]},
                    starts_as_base(setup) ? tenon::Init::zeros() : tenon::Init::normal(0, 1));
    setup.parameter("hira_embedding_B", {weight[1], r}, tenon::Init::normal(0, 1));
  }

  static Tensor delta(const methods::Change& change) {
    const Tensor product = matmul(change.adapter.parameter(1), change.adapter.parameter(0));
    return change.base * transpose(product, 0, 1);
  }
};

}  // namespace

TENON_PLUGIN("tenon.hira", "1.0.0", Hira, HiraLayer, HiraEmbedding)
