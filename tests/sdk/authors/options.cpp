// Options of its own: the offset of the bias is at most `limit`, and may be squashed.
#include <string>

#include <tenon/sdk.hpp>

struct Limited : tenon::Layer<Limited> {
  static constexpr tenon::layer_type kType{
      .id = "author.limited-linear", .method = "lora", .base = "torch.nn.Linear"};
  static constexpr const char* kCurves[] = {"tanh", "linear"};
  static constexpr tenon_option kOptions[] = {
      tenon::option::number("limit", 1, {.minimum = 0}, "The largest offset."),
      tenon::option::choice("curve", "tanh", kCurves, "How it is reached.")};

  struct State {
    double limit;
    bool squashes;
  };
  static State prepare(const Setup& setup) {
    return {setup.option<double>("limit"), setup.option<std::string>("curve") == "tanh"};
  }
  static void add_adapter(Setup& setup) {
    setup.parameter("offset", setup.base().weight("bias").shape, tenon::Init::zeros());
  }
  static Tensor merged_weight(Call& call, const Weight& weight) {
    static const tenon::Operator tanh("aten::tanh");
    if (weight.name != "bias") return {};
    Tensor merged = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const auto& state = adapter.state<State>();
      const Tensor offset = adapter.parameter(0);
      merged = add(merged, state.squashes ? tanh(offset) : offset, state.limit);
    }
    return merged;
  }
};

TENON_PLUGIN("author.limited", "1.0.0", Limited)
