// A parameter that layers share: W' = W + factor * common^T, with one `common` for all layers, as
// long as the widest needs it.
#include <tenon/sdk.hpp>

struct Common : tenon::Method<Common> {
  static constexpr tenon::method_type kMethod{.name = "common", .doc = "One direction for all."};
};

struct CommonLinear : tenon::Layer<CommonLinear> {
  static constexpr tenon::layer_type kType{
      .id = "author.common-linear", .method = "common", .base = "torch.nn.Linear"};

  static void add_adapter(Setup& setup) {
    const tenon::Shape shape = setup.base().weight("weight").shape;
    setup.shared_parameter("common", {1, shape[1]}, tenon::Init::normal(0, 1));
    setup.parameter("factor", {shape[0], 1}, tenon::Init::zeros());
  }
  static Tensor merged_weight(Call& call, const Weight& weight) {
    static const tenon::Operator narrow("aten::narrow");
    if (weight.name != "weight") return {};
    Tensor merged = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor own = narrow(adapter.parameter(0), 1, 0, weight.shape[1]);
      merged = merged + matmul(adapter.parameter(1), own);
    }
    return merged;
  }
};

TENON_PLUGIN("author.common", "1.0.0", Common, CommonLinear)
