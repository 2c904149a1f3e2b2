// SHiRA: a few elements of the weight are trained, at random places (Bhardwaj et al. 2024,
// arXiv:2406.13175; PEFT: tuners/shira/layer.py):
//   W' = W + scatter(shira_weight at shira_indices)
// As many as LoRA of rank r would have, r (in + out). The places are saved with the adapter.
#include <algorithm>
#include <string>
#include <vector>

#include "common/weight_layer.hpp"

namespace {

using tenon::Shape;

constexpr std::uint32_t kValues = 0;
constexpr std::uint32_t kIndices = 1;

constexpr const char* kMasks[] = {"random"};

struct Shira : tenon::Method<Shira> {
  static constexpr tenon::method_type kMethod{
      .name = "shira", .peft_type = "SHIRA", .doc = "Trained elements of weights."};
  static constexpr tenon_option kKeys[] = {
      tenon::option::integer("r", 32, {.minimum = 1}, "As many elements as LoRA of this rank has."),
      tenon::option::choice("mask_type", "random", kMasks, "How the elements are chosen."),
      tenon::option::nullable(tenon::option::integer(
          "random_seed", 0, {.minimum = 0, .maximum = 4294967295},
          "Draws the elements of each layer; left out: the run's seed does.")),
      tenon::option::boolean("fan_in_fan_out", false,
                             "PEFT's; has no effect: a layer's type says how its weight lies."),
      tenon::option::boolean("init_weights", true, "Start at zero, as the base; else at random.")};

  static double scaling(const Setup&) { return 1; }
};

std::int64_t count_of(const tenon::Setup& setup) {
  const Shape weight = setup.base().weight("weight").shape;
  return setup.option<std::int64_t>("r") * (weight[0] + weight[1]);
}

struct ShiraLinear : methods::AdditiveLayer<ShiraLinear> {
  static constexpr tenon::layer_type kType{.id = "tenon.shira",
                                           .method = "shira",
                                           .base = "torch.nn.Linear",
                                           .title = "shira.Linear",
                                           .doc = "Trained elements of the weight."};

  static void validate(const Setup& setup) {
    const Shape weight = setup.base().weight("weight").shape;
    if (count_of(setup) <= weight[0] * weight[1]) return;
    throw tenon::Failure(TENON_UNSUPPORTED, "r asks for " + std::to_string(count_of(setup)) +
                                                " trained elements, and the weight has " +
                                                std::to_string(weight[0] * weight[1]) +
                                                ": choose a smaller r");
  }

  static void add_adapter(Setup& setup) {
    const std::int64_t count = count_of(setup);
    setup.parameter(
        "shira_weight", {count},
        setup.option<bool>("init_weights") ? tenon::Init::zeros() : tenon::Init::normal(0, 1));
    setup.parameter("shira_indices", {2, count}, tenon::Init::zeros(), TENON_PARAMETER_BUFFER,
                    TENON_DTYPE_INT32);
  }

  // Rows above columns, in the order of the weight's elements.
  static void initialise(const Setup& setup, Start& start) {
    static const tenon::Operator randperm("aten::randperm", "generator");
    static const tenon::Operator sort("aten::sort");
    static const tenon::Operator divide("aten::div", "Scalar_mode");
    static const tenon::Operator remainder("aten::remainder", "Scalar");
    const Shape weight = setup.base().weight("weight").shape;
    const auto seed = setup.option<std::optional<std::int64_t>>("random_seed");
    const std::int64_t elements = weight[0] * weight[1];
    const Tensor order =
        seed ? methods::seeded_permutation(elements, *seed) : randperm(elements, start.generator());
    const Tensor places = sort.results(2, methods::narrow(order, 0, 0, count_of(setup)))[0];
    const Tensor rows = divide(places, weight[1], tenon::named("rounding_mode", "floor"));
    const Tensor both = methods::cat({rows, remainder(places, weight[1])}, 0);
    start.set_parameter(kIndices, to_dtype(reshape(both, {2, -1}), TENON_DTYPE_INT32));
  }

  static Tensor delta(const methods::Change& change) {
    static const tenon::Operator index_copy("aten::index_copy");
    static const tenon::Operator select("aten::select", "int");
    static const tenon::Operator add_times("aten::add", "Tensor");
    const Shape& weight = change.weight.shape;
    const Tensor indices = to_dtype(change.adapter.parameter(kIndices), TENON_DTYPE_INT64);
    const auto row = [&](std::int64_t i) { return select(indices, std::int64_t{0}, i); };
    const Tensor places = add_times(row(1), row(0), weight[1]);
    const Tensor values = change.adapter.parameter(kValues);
    const Tensor flat = methods::zeros({weight[0] * weight[1]}, values);
    return reshape(index_copy(flat, std::int64_t{0}, places, values), weight) *
           change.adapter.scaling();
  }
};

}  // namespace

TENON_PLUGIN("tenon.shira", "1.0.0", Shira, ShiraLinear)
