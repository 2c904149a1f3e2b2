// A method of a third party's own on torch.nn.Linear: a fraction of the weight is trained, the rest
// stays. Start: part = f W, the base's weight becomes W - f W, so that nothing changes; then
// y = (W - f W) x + b + part x. Needs a method with keys, a state made in `prepare`, parameters
// that start from the base, and a weight that the base has under the adapter.
#include <tenon/sdk.hpp>

namespace {

struct Split : tenon::Method<Split> {
  static constexpr tenon::method_type kMethod{
      .name = "split", .doc = "Trains a fraction of each weight.", .max_active = 1};
  static constexpr const char* kStarts[] = {"base", "zeros"};
  static constexpr tenon_option kKeys[] = {
      tenon::option::number("fraction", 0.5, {.minimum = 0, .maximum = 1},
                            "How much of the weight is trained."),
      tenon::option::modules("halved_modules", "Layers that train half of that."),
      tenon::option::choice("start", "base", kStarts, "What the trained part starts as.")};
};

struct SplitLinear : tenon::Layer<SplitLinear> {
  static constexpr tenon::layer_type kType{.id = "acme.split-linear",
                                           .method = "split",
                                           .base = "torch.nn.Linear",
                                           .title = "split.Linear",
                                           .doc = "A fraction of the weight is trained."};
  static constexpr tenon_option kOptions[] = {
      tenon::option::integer("power", 1, {.minimum = 1}, "The fraction is raised to this power."),
      tenon::option::booleans("pattern", "Any truth values.")};

  struct State {
    double fraction;
  };

  static State prepare(const Setup& setup) {
    double fraction = 1;
    for (auto i = setup.option<std::int64_t>("power"); i > 0; --i) {
      fraction *= setup.option<double>("fraction");
    }
    return {setup.option<bool>("halved_modules") ? fraction / 2 : fraction};
  }

  static void add_adapter(Setup& setup) {
    setup.parameter("split_part", setup.base().weight("weight").shape, tenon::Init::zeros());
  }

  static void initialise(const Setup& setup, Start& start) {
    if (setup.option<std::string>("start") == "zeros") return;
    const Tensor part = start.weight("weight") * start.state<State>().fraction;
    start.set_weight("weight", start.weight("weight") - part);
    start.set_parameter(0, part);
  }

  // Without a forward: the host runs the base on this.
  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (weight.name != "weight") return {};
    return call.weight(weight) + call.adapter(0).parameter(0);
  }
};

}  // namespace

TENON_PLUGIN("acme.split", "1.0.0", Split, SplitLinear)
