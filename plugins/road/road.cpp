// RoAd: pairs of a layer's outputs are turned by trained angles and stretched (Liao et al. 2024,
// arXiv:2409.00119; PEFT: tuners/road/layer.py):
//   y_i' = c_i y_i - s_i y_j,  y_j' = s_j y_i + c_j y_j,  c = alpha cos(theta), s = alpha
//   sin(theta)
// Within a group of outputs, i is in the first half and j stands at its place in the second.
// road_1 has one angle for a pair, road_2 one for each output, road_4 one for each c and each s.
#include <string>

#include "common/weight_layer.hpp"

namespace {

using tenon::Shape;
using tenon::Tensor;

constexpr const char* kVariants[] = {"road_1", "road_2", "road_4"};

struct Road : tenon::Method<Road> {
  static constexpr tenon::method_type kMethod{
      .name = "road", .peft_type = "ROAD", .doc = "Trained rotations of pairs of outputs."};
  static constexpr tenon_option kKeys[] = {
      tenon::option::choice("variant", "road_1", kVariants,
                            "One angle for a pair, for an output, or two for an output."),
      tenon::option::integer("group_size", 64, {.minimum = 2},
                             "How many outputs are paired among themselves; even."),
      tenon::option::boolean("init_weights", true, "Start as the base, else at random.")};
};

struct State {
  std::string variant;
  std::int64_t group = 0;
};

// (groups, 2, group / 2): the two halves of each group apart.
Tensor halves(const Tensor& x, std::int64_t group) { return reshape(x, {-1, 2, group / 2}); }

// c (for cosine) or s, in an order that is the outputs'.
Tensor coefficients(const tenon::Adapter& adapter, const State& state, bool is_cosine) {
  static const tenon::Operator cos("aten::cos");
  static const tenon::Operator sin("aten::sin");
  static const tenon::Operator repeat("aten::repeat_interleave", "self_int");
  static const tenon::Operator select("aten::select", "int");
  const auto laid_out = [&](const Tensor& x) {
    if (state.variant == "road_1") {
      const Tensor rows = reshape(x, {-1, state.group / 2});
      return reshape(repeat(rows, std::int64_t{2}, std::int64_t{0}), {-1});
    }
    if (state.variant == "road_2") return x;
    const Tensor pairs = reshape(x, {-1, 2, state.group});
    return reshape(select(pairs, std::int64_t{1}, std::int64_t{is_cosine ? 0 : 1}), {-1});
  };
  const Tensor theta = laid_out(adapter.parameter(0));
  return laid_out(adapter.parameter(1)) * (is_cosine ? cos(theta) : sin(theta));
}

// The outputs stand in the last dimension of x.
Tensor turn(const Tensor& x, const tenon::Adapter& adapter) {
  static const tenon::Operator neg("aten::neg");
  const auto& state = adapter.state<State>();
  const Tensor parts = halves(x, state.group);
  const Tensor first = methods::narrow(parts, 1, 0, 1);
  const Tensor second = methods::narrow(parts, 1, 1, 1);
  const Tensor turned = reshape(methods::cat({neg(second), first}, 1), x.shape());
  return x * coefficients(adapter, state, true) + turned * coefficients(adapter, state, false);
}

struct RoadLinear : tenon::Layer<RoadLinear> {
  static constexpr tenon::layer_type kType{.id = "tenon.road",
                                           .method = "road",
                                           .base = "torch.nn.Linear",
                                           .title = "road.Linear",
                                           .doc = "Rotations of pairs of outputs."};

  static void validate(const Setup& setup) {
    const auto group = setup.option<std::int64_t>("group_size");
    const std::int64_t outputs = setup.base().weight("weight").shape[0];
    if (group % 2 == 0 && outputs % group == 0) return;
    throw tenon::Failure(TENON_UNSUPPORTED, "group_size is even and divides the layer's " +
                                                std::to_string(outputs) + " outputs; " +
                                                std::to_string(group) + " does not");
  }

  static State prepare(const Setup& setup) {
    return {setup.option<std::string>("variant"), setup.option<std::int64_t>("group_size")};
  }

  static void add_adapter(Setup& setup) {
    const std::int64_t outputs = setup.base().weight("weight").shape[0];
    const auto variant = setup.option<std::string>("variant");
    const std::int64_t size = variant == "road_1"   ? outputs / 2
                              : variant == "road_2" ? outputs
                                                    : 2 * outputs;
    const bool starts_as_base = setup.option<bool>("init_weights");
    setup.parameter("road_theta", {size},
                    starts_as_base ? tenon::Init::zeros() : tenon::Init::normal(0, 0.5));
    setup.parameter("road_alpha", {size},
                    starts_as_base ? tenon::Init::ones() : tenon::Init::normal(1, 0.5));
  }

  static Outputs forward(Call& call) {
    Tensor y = std::move(call.base()[0]);
    const std::int32_t dtype = y.dtype();
    for (const tenon::Adapter& adapter : call.adapters()) {
      y = turn(methods::with_dtype(y, adapter.parameter(0).dtype()), adapter);
    }
    return methods::with_dtype(y, dtype);
  }

  static Tensor merged_weight(Call& call, const Weight& weight) {
    const bool is_weight = weight.name == "weight";
    if (!is_weight && weight.name != "bias") return {};
    Tensor value = call.weight(weight);
    if (is_weight) value = transpose(value, 0, 1);
    for (const tenon::Adapter& adapter : call.adapters()) value = turn(value, adapter);
    return is_weight ? transpose(value, 0, 1) : value;
  }
};

}  // namespace

TENON_PLUGIN("tenon.road", "1.0.0", Road, RoadLinear)
