// A state made in prepare: LoRA whose scale is worked out once from the layer's sizes.
#include <cmath>

#include <tenon/sdk.hpp>

struct Prepared : tenon::Layer<Prepared> {
  static constexpr tenon::layer_type kType{
      .id = "author.prepared-linear", .method = "lora", .base = "torch.nn.Linear"};

  struct State {
    double scale;
  };
  static State prepare(const Setup& setup) {
    const auto columns = static_cast<double>(setup.base().weight("weight").shape[1]);
    return {setup.option<double>("lora_alpha") / std::sqrt(columns)};
  }
  static void add_adapter(Setup& setup) {
    const tenon::Shape shape = setup.base().weight("weight").shape;
    setup.parameter("down", {setup.option<std::int64_t>("r"), shape[1]},
                    tenon::Init::kaiming_uniform());
    setup.parameter("up", {shape[0], setup.option<std::int64_t>("r")}, tenon::Init::zeros());
  }
  static Outputs forward(Call& call) {
    Tensor y = call.base()[0];
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor low = linear(call.input(), adapter.parameter(0));
      y = add(y, linear(low, adapter.parameter(1)), adapter.state<State>().scale);
    }
    return y;
  }
  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (weight.name != "weight") return {};
    Tensor merged = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      merged = add(merged, matmul(adapter.parameter(1), adapter.parameter(0)),
                   adapter.state<State>().scale);
    }
    return merged;
  }
};

TENON_PLUGIN("author.prepared", "1.0.0", Prepared)
