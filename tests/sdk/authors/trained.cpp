// A method that takes part in training: y = W x + b + offset, where one layer is held still, no
// offset leaves [-limit, limit], and the loss has a term of its own. The file of one layer holds
// its first offsets only, the rest being zero.
#include <tenon/sdk.hpp>

#include <string>
#include <vector>

struct Held : tenon::Method<Held> {
  static constexpr tenon::method_type kMethod{.name = "held", .doc = "Offsets that are held."};
  static constexpr tenon_option kCount[] = {
      tenon::option::integer("count", 1, tenon::at_least(1), "How many.")};
  static constexpr tenon_option kKeys[] = {
      tenon::option::patterns<kCount>("kept_pattern", "How many offsets a layer has."),
      tenon::option::patterned(
          tenon::option::number("limit", 0.5, tenon::at_least(0), "How far an offset goes."),
          "limit_pattern"),
      tenon::option::modules("still_modules", "Layers that are not trained.")};

  static void before_step(tenon::TrainingRun& run) {
    static const tenon::Operator zero("aten::zero_");
    for (std::uint32_t i = 0; i < run.n_layers(); ++i) {
      const tenon::TrainingLayer layer = run.layer(i);
      if (layer.setup().option<bool>("still_modules")) zero(layer.gradient(0));
    }
  }

  static void after_step(tenon::TrainingRun& run) {
    static const tenon::Operator clamp("aten::clamp_");
    for (std::uint32_t i = 0; i < run.n_layers(); ++i) {
      const tenon::TrainingLayer layer = run.layer(i);
      const auto limit = layer.setup().option<double>("limit");
      clamp(layer.parameter(0), -limit, limit);
    }
    const tenon::Tensor before = run.kept("steps");
    const double count = before ? tenon::number_of<double>(before) : 0;
    if (count != static_cast<double>(run.step() - 1)) {
      throw tenon::Failure(TENON_INTERNAL, "it kept " + std::to_string(count) + " before step " +
                                               std::to_string(run.step()));
    }
    run.keep("steps", tenon::tensor_from<double>({count + 1}, {}));
  }

  static void save(const tenon::SavedLayers& layers, tenon::File& file) {
    static const tenon::Operator narrow("aten::narrow");
    std::vector<tenon_entry> counts;
    for (std::uint32_t i = 0; i < layers.size(); ++i) {
      if (layers[i].base().path() != "first") continue;
      constexpr std::int64_t kKept = 4;
      file.set_parameter(i, 0, narrow(layers[i].parameter(0), 0, 0, kKept));
      counts.push_back({"first", tenon::Value(kKept)});
    }
    file.set_key("kept_pattern", counts);
  }

  static tenon::Tensor regularise(tenon::TrainingRun& run) {
    static const tenon::Operator sum("aten::sum");
    tenon::Tensor total = tenon::tensor_from<float>({100}, {});
    for (std::uint32_t i = 0; i < run.n_layers(); ++i) {
      const tenon::Tensor offset = run.layer(i).parameter(0);
      total = total + sum(offset * offset);
    }
    return total;
  }
};

struct HeldLinear : tenon::Layer<HeldLinear> {
  static constexpr tenon::layer_type kType{
      .id = "author.held-linear", .method = "held", .base = "torch.nn.Linear"};

  static void add_adapter(Setup& setup) {
    const std::int64_t size = setup.base().weight("bias").shape[0];
    const auto kept = setup.table("kept_pattern").find<std::int64_t>(setup.base().path());
    setup.parameter("offset", {kept.value_or(size)}, tenon::Init::zeros());
  }
  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (weight.name != "bias") return {};
    Tensor merged = call.weight(weight);
    static const tenon::Operator pad("aten::constant_pad_nd");
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor offset = adapter.parameter(0);
      const tenon::Shape behind{0, merged.size(0) - offset.size(0)};
      merged = merged + pad(offset, behind, 0.0);
    }
    return merged;
  }
};

TENON_PLUGIN("author.held", "1.0.0", Held, HeldLinear)
