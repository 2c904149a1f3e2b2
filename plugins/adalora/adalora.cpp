// AdaLoRA: a low-rank update in the form of a singular value decomposition, whose triplets compete
// for a budget that shrinks while it trains (Zhang et al. 2023, arXiv:2303.10512; PEFT:
// tuners/adalora):
//   W' = W + s B diag(E) A,   s = lora_alpha / (init_r + 1e-5)
// After each step a triplet's importance is its sensitivity |p dL/dp|, smoothed, times how much
// that varies, summed over its elements; the least important ones get E = 0. At the end they are
// left out of the file, and `rank_pattern` says which.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "common/matrix.hpp"
#include "common/weight_layer.hpp"

namespace {

using tenon::Shape;
using tenon::Tensor;

constexpr std::uint32_t kA = 0;
constexpr std::uint32_t kB = 1;
constexpr std::uint32_t kE = 2;
constexpr tenon_option kMask[] = {tenon::option::booleans("kept", "")};

// Of a layer, in rank_pattern.
std::string pattern_of(const tenon::Base& base) { return std::string(base.path()) + ".lora_E"; }

// The ranks that are in the file, or at the start.
std::int64_t rank_of(const tenon::Setup& setup) {
  const auto kept = setup.table("rank_pattern").find<std::vector<bool>>(pattern_of(setup.base()));
  if (!kept) return setup.option<std::int64_t>("init_r");
  return std::count(kept->begin(), kept->end(), true);
}

// When the budget shrinks: not before step tinit, to its end tfinal steps before the last.
struct Schedule {
  std::int64_t start;
  std::int64_t end;
  std::int64_t every;

  explicit Schedule(const tenon::Setup& setup)
      : start(setup.option<std::int64_t>("tinit")),
        end(setup.option<std::int64_t>("total_step") - setup.option<std::int64_t>("tfinal")),
        every(setup.option<std::int64_t>("deltaT")) {}
  bool masks(std::int64_t step) const {
    return step == end || (step > start && step < end && step % every == 0);
  }
  // From `first` to `last` triplets, along a cubic curve.
  std::int64_t budget(std::int64_t step, std::int64_t first, std::int64_t last) const {
    const double left = 1 - static_cast<double>(step - start) / static_cast<double>(end - start);
    const double size = static_cast<double>(first - last) * std::pow(left, 3);
    return static_cast<std::int64_t>(size + static_cast<double>(last));
  }
};

std::string kept_name(const tenon::TrainingLayer& layer, const std::string& what) {
  return std::string(layer.base().path()) + "." + what;
}

// Smooths the sensitivity of a parameter and what it varies by, and gives their product.
Tensor importance(tenon::TrainingRun& run, const tenon::TrainingLayer& layer, std::uint32_t i,
                  bool updates) {
  static const tenon::Operator abs("aten::abs");
  const std::string name = kept_name(layer, std::string(layer.name(i)));
  Tensor average = run.kept(name + ".sensitivity");
  Tensor spread = run.kept(name + ".uncertainty");
  if (!average) average = spread = methods::zeros_like(layer.parameter(i));
  if (updates && layer.gradient(i)) {
    const auto beta1 = layer.setup().option<double>("beta1");
    const auto beta2 = layer.setup().option<double>("beta2");
    const Tensor now = abs(layer.parameter(i) * layer.gradient(i));
    average = average * beta1 + now * (1 - beta1);
    spread = spread * beta2 + abs(now - average) * (1 - beta2);
    run.keep(name + ".sensitivity", average);
    run.keep(name + ".uncertainty", spread);
  }
  return average * spread;
}

// Of each triplet of a layer: (r).
Tensor triplet_scores(tenon::TrainingRun& run, const tenon::TrainingLayer& layer, bool updates) {
  static const tenon::Operator mean("aten::mean", "dim");
  const Tensor a = mean(importance(run, layer, kA, updates), Shape{1});
  const Tensor b = mean(importance(run, layer, kB, updates), Shape{0});
  return reshape(importance(run, layer, kE, updates), {-1}) + (a + b);
}

void mask(const tenon::TrainingLayer& layer, const Tensor& is_out) {
  static const tenon::Operator fill("aten::masked_fill_", "Scalar");
  fill(layer.parameter(kE), reshape(is_out, {-1, 1}), 0.0);
}

struct AdaLora : tenon::Method<AdaLora> {
  static constexpr tenon::method_type kMethod{
      .name = "adalora",
      .peft_type = "ADALORA",
      .doc = "Low-rank updates that share a shrinking budget of ranks.",
      .flags = TENON_METHOD_EXCLUDES | TENON_METHOD_LAYERS};
  static constexpr tenon_option kKeys[] = {
      tenon::option::integer("target_r", 8, tenon::at_least(1), "The mean rank at the end."),
      tenon::option::integer("init_r", 12, tenon::at_least(1), "The rank at the start."),
      tenon::option::integer("tinit", 0, tenon::at_least(0), "Steps before the budget shrinks."),
      tenon::option::integer("tfinal", 0, tenon::at_least(0), "Steps after it has shrunk."),
      tenon::option::integer("deltaT", 1, tenon::at_least(1), "It shrinks every so many steps."),
      tenon::option::number("beta1", 0.85, {.minimum = 0, .maximum = 1},
                            "How much sensitivities are smoothed."),
      tenon::option::number("beta2", 0.85, {.minimum = 0, .maximum = 1},
                            "How much what they vary by is smoothed."),
      tenon::option::number("orth_reg_weight", 0.5, tenon::at_least(0),
                            "The weight of A's and B's distance from orthogonal in the loss."),
      tenon::option::required(
          tenon::option::integer("total_step", 0, tenon::at_least(1), "The steps planned.")),
      tenon::option::patterns<kMask>("rank_pattern", "Which triplets a trained adapter has kept."),
      tenon::option::number("lora_alpha", 8, {}, "The update is scaled by lora_alpha / init_r."),
      tenon::option::number("lora_dropout", 0, {.minimum = 0, .maximum = 1},
                            "Dropout on what enters the update."),
      tenon::option::boolean("init_lora_weights", true, "Start as the base, else at random."),
      tenon::option::boolean("fan_in_fan_out", false,
                             "PEFT's; has no effect: a layer's type says how its weight lies."),
      tenon::option::choice("bias", "none", methods::kNoBias, "Which biases are trained."),
      tenon::option::boolean("use_dora", false, "Not supported."),
      tenon::option::boolean("use_rslora", false, "Not supported."),
      tenon::option::boolean("use_qalora", false, "Not supported."),
      tenon::option::boolean("lora_bias", false, "Not supported."),
      tenon::option::boolean("ensure_weight_tying", false, "Not supported."),
      tenon::option::integer("r", 8, {}, "PEFT's; has no effect."),
      tenon::option::text("megatron_core", "megatron.core", "PEFT's; has no effect."),
      tenon::option::integer("qalora_group_size", 16, {}, "PEFT's; has no effect.")};

  static double scaling(const Setup& setup) {
    const auto r = setup.option<double>("init_r");
    const auto alpha = setup.option<double>("lora_alpha");
    return (alpha > 0 ? alpha : r) / (r + 1e-5);
  }

  static void after_step(tenon::TrainingRun& run) {
    const Schedule schedule(run.layer(0).setup());
    if (run.step() > schedule.end) return mask_again(run);
    std::vector<Tensor> scores;
    std::int64_t first = 0;
    std::int64_t last = 0;
    for (std::uint32_t i = 0; i < run.n_layers(); ++i) {
      const tenon::TrainingLayer layer = run.layer(i);
      scores.push_back(triplet_scores(run, layer, run.step() < schedule.end));
      first += layer.parameter(kE).size(0);
      last += layer.setup().option<std::int64_t>("target_r");
    }
    if (!schedule.masks(run.step())) return;
    const std::int64_t out = first - schedule.budget(run.step(), first, last);
    if (out <= 0) return;
    static const tenon::Operator kth("aten::kthvalue");
    static const tenon::Operator at_most("aten::le", "Tensor");
    const Tensor threshold = kth.results(2, methods::cat(scores, 0), out)[0];
    for (std::uint32_t i = 0; i < run.n_layers(); ++i) {
      const Tensor is_out = at_most(scores[i], threshold);
      mask(run.layer(i), is_out);
      run.keep(kept_name(run.layer(i), "out"), is_out);
    }
  }

  // The optimizer may move what has been taken out.
  static void mask_again(tenon::TrainingRun& run) {
    for (std::uint32_t i = 0; i < run.n_layers(); ++i) {
      const Tensor is_out = run.kept(kept_name(run.layer(i), "out"));
      if (is_out) mask(run.layer(i), is_out);
    }
  }

  // The mean of |A A^T - I| and |B^T B - I| over all layers.
  static Tensor regularise(tenon::TrainingRun& run) {
    const auto weight = run.layer(0).setup().option<double>("orth_reg_weight");
    if (weight == 0) return {};
    static const tenon::Operator length("aten::linalg_vector_norm");
    Tensor sum;
    for (std::uint32_t i = 0; i < run.n_layers(); ++i) {
      const Tensor a = run.layer(i).parameter(kA);
      const Tensor b = run.layer(i).parameter(kB);
      for (const Tensor& square : {matmul(a, transpose(a, 0, 1)), matmul(transpose(b, 0, 1), b)}) {
        const Tensor distance = length(square - methods::identity(square.size(0), square));
        sum = sum ? sum + distance : distance;
      }
    }
    return sum * (weight / (2.0 * run.n_layers()));
  }

  // Without the triplets whose E is zero, once some have been taken out.
  static void save(const tenon::SavedLayers& layers, tenon::File& file) {
    static const tenon::Operator select("aten::index_select");
    std::vector<std::vector<std::uint8_t>> masks;
    std::vector<std::string> names;
    bool pruned = false;
    for (std::uint32_t i = 0; i < layers.size(); ++i) {
      names.push_back(pattern_of(layers[i].base()));
      masks.emplace_back();
      for (const float e : tenon::numbers_of<float>(layers[i].parameter(kE))) {
        masks.back().push_back(e != 0 ? 1 : 0);
        pruned = pruned || e == 0;
      }
    }
    if (!pruned || layers.size() == 0) return;
    // At the start every E is zero.
    const bool untrained = std::all_of(masks.begin(), masks.end(), [](const auto& each) {
      return std::count(each.begin(), each.end(), 1) == 0;
    });
    if (untrained) return;
    std::vector<tenon_entry> table;
    for (std::uint32_t i = 0; i < layers.size(); ++i) {
      table.push_back({names[i].c_str(), tenon::Value(std::span<const std::uint8_t>(masks[i]))});
      std::vector<std::int64_t> places;
      for (std::size_t j = 0; j < masks[i].size(); ++j) {
        if (masks[i][j] != 0) places.push_back(static_cast<std::int64_t>(j));
      }
      const Tensor kept = methods::tensor_of(places, layers[i].parameter(kE));
      for (const std::uint32_t p : {kA, kB, kE}) {
        const std::int64_t dimension = p == kB ? 1 : 0;
        file.set_parameter(i, p, select(layers[i].parameter(p), dimension, kept));
      }
    }
    file.set_key("rank_pattern", table);
  }
};

struct State {
  double dropout = 0;
  bool turns = false;
};

struct AdaLoraLayer : methods::AdditiveLayer<AdaLoraLayer> {
  static constexpr tenon::layer_type kType{
      .id = "tenon.adalora",
      .method = "adalora",
      .base = "torch.nn.Linear;torch.nn.Conv2d;transformers.pytorch_utils.Conv1D",
      .title = "adalora.Layer",
      .doc = "An update with singular values of its own."};

  static void validate(const Setup& setup) {
    methods::refuse_groups(setup.base());
    for (const char* key :
         {"use_dora", "use_rslora", "use_qalora", "lora_bias", "ensure_weight_tying"}) {
      if (!setup.option<bool>(key)) continue;
      throw tenon::Failure(TENON_UNSUPPORTED, std::string(key) + " is no part of AdaLoRA");
    }
    const Schedule schedule(setup);
    if (schedule.start < schedule.end) return;
    throw tenon::Failure(
        TENON_UNSUPPORTED,
        "tinit and tfinal leave no step of total_step for the budget to shrink in");
  }

  static State prepare(const Setup& setup) {
    return {setup.option<double>("lora_dropout"), methods::is_stored_transposed(setup.base())};
  }

  static void add_adapter(Setup& setup) {
    const std::int64_t r = rank_of(setup);
    Shape weight = setup.base().weight("weight").shape;
    if (methods::is_stored_transposed(setup.base())) std::swap(weight[0], weight[1]);
    const bool starts_as_base = setup.option<bool>("init_lora_weights");
    const auto drawn = tenon::Init::normal(0, starts_as_base ? 0.02 : 1);
    setup.parameter("lora_A", {r, methods::columns(weight)}, drawn);
    setup.parameter("lora_B", {weight[0], r}, drawn);
    setup.parameter("lora_E", {r, 1}, starts_as_base ? tenon::Init::zeros() : drawn);
  }

  static double input_dropout(const tenon::Adapter& adapter) {
    return adapter.state<State>().dropout;
  }

  static Tensor delta(const methods::Change& change) {
    const tenon::Adapter& adapter = change.adapter;
    const Tensor product =
        matmul(adapter.parameter(kB), adapter.parameter(kA) * adapter.parameter(kE));
    const Tensor update = adapter.state<State>().turns ? transpose(product, 0, 1) : product;
    return reshape(update * adapter.scaling(), change.weight.shape);
  }
};

}  // namespace

TENON_PLUGIN("tenon.adalora", "1.0.0", AdaLora, AdaLoraLayer)
