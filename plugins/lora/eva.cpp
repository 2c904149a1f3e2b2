// EVA's start (Paischer et al., 2024; PEFT: tuners/lora/eva.py): lora_A of each layer is the
// leading singular vectors of its inputs over batches of data, worked out until they have settled.
// The layers' ranks are dealt out anew among them, at most rho times what each had, so that the
// vectors that explain most of the variance are in. Layers that read the same input share one
// decomposition.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "lora/data_start.hpp"
#include "lora/input_group.hpp"
#include "lora/observed_rows.hpp"
#include "lora/operators.hpp"

namespace lora {
namespace {

constexpr const char* kEva = "eva";

// PEFT: EvaConfig.
struct EvaConfig {
  double rho;  // a layer's rank is at most rho times what the config gives it
  double tau;  // singular vectors whose cosine to the last batch's is this have settled
  std::optional<std::int64_t> unlabelled;  // the label of positions to leave out
  bool whiten;
  bool adjusts_alpha;  // lora_alpha changes with the rank

  explicit EvaConfig(const tenon::Table& keys)
      : rho(*keys.find<double>("rho")),
        tau(*keys.find<double>("tau")),
        whiten(*keys.find<bool>("whiten")),
        adjusts_alpha(*keys.find<bool>("adjust_scaling_factors")) {
    if (*keys.find<bool>("use_label_mask")) {
      unlabelled = keys.find<std::int64_t>("label_mask_value");
    }
  }
};

// A Linear that EVA starts.
struct EvaLayer {
  std::uint32_t number;  // in the run
  std::string name;      // "`seq.0`"
  std::int64_t rank;     // as the config gives it
  std::int64_t in_features;
};

// One call of a layer.
struct EvaCall {
  std::size_t layer;
  Tensor rows;  // of its input
};

class Eva : public tenon::DataStart {
 public:
  explicit Eva(const tenon::DataRun& run)
      : sorted_(run, kEva), config_(run.keys().table("eva_config")) {
    const double rho = bounded_rho(run);
    for (const std::uint32_t number : sorted_.linear) {
      const tenon::DataLayer layer = run.layer(number);
      const tenon::Shape shape = layer.base().weight("weight").shape;
      layers_.push_back({number, "`" + std::string(layer.base().path()) + "`",
                         layer_rank(layer.setup()), shape[in_dimension(layer.base().type())]});
      // As Python rounds: a half to the even number.
      components_.push_back(std::llrint(static_cast<double>(layers_.back().rank) * rho));
      budget_ += layers_.back().rank;
    }
  }

  void observe(const tenon::DataRun&, const tenon::Observed& call) override {
    const std::int64_t place = sorted_.find(call.layer());
    if (place < 0) return;
    const auto layer = static_cast<std::size_t>(place);
    const Tensor rows = used_rows(call.input(), used_positions(call, config_.unlabelled));
    if (batches_ > 0) return fit(layer, rows);
    first_calls_.push_back({layer, rows});
  }

  bool after_batch(const tenon::DataRun& run) override {
    if (batches_ == 0) {
      find_groups();
      check_components();
      settle();
      for (const EvaCall& call : std::exchange(first_calls_, {})) fit(call.layer, call.rows);
    }
    ++batches_;
    if (batches_ == run.batches_per_epoch()) check_fitted();
    if (is_fitted()) ranks_ = deal_ranks();
    const bool has_settled = settle();
    // PEFT goes on for ever where the data let no component settle.
    const std::int64_t limit = std::max<std::int64_t>(1000, 10 * run.batches_per_epoch());
    if (!has_settled && batches_ == limit) fail_unsettled();
    return has_settled;
  }

  void finish(const tenon::DataRun& run, tenon::Started& started) override {
    std::vector<std::string> dropped;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const std::uint32_t number = layers_[i].number;
      if (ranks_[i] == 0) {
        dropped.push_back(layers_[i].name);
        started.leave_out(number);
        continue;
      }
      auto alpha = run.layer(number).setup().option<double>("lora_alpha");
      if (config_.adjusts_alpha) {
        alpha *= static_cast<double>(ranks_[i]) / static_cast<double>(layers_[i].rank);
      }
      started.set_key(number, "r", ranks_[i]);
      set_alpha(started, number, alpha);
      started.set_parameter(number, kPairs[0].down, vectors(i));
    }
    if (!sorted_.others.empty()) {
      started.note("EVA starts Linear layers only; " + sorted_.names_of_others +
                   " start as with init_lora_weights = true");
    }
    if (dropped.empty()) return;
    started.note("EVA leaves no rank for " + joined(dropped) +
                 ": other layers' inputs explain more with it");
  }

 private:
  // Whole numbers as such, as PEFT's users write them.
  static void set_alpha(tenon::Started& started, std::uint32_t number, double alpha) {
    constexpr double kExactIntegers = 9007199254740992;  // 2^53
    if (std::trunc(alpha) == alpha && std::abs(alpha) <= kExactIntegers) {
      return started.set_key(number, "lora_alpha", static_cast<std::int64_t>(alpha));
    }
    started.set_key(number, "lora_alpha", alpha);
  }

  // A very large rho is bounded by the base's largest dimension.
  double bounded_rho(const tenon::DataRun& run) const {
    constexpr double kLarge = 1000;
    if (config_.rho <= kLarge) return config_.rho;
    const auto r = run.keys().option<std::int64_t>("r");
    return std::min(config_.rho, static_cast<double>(run.largest_size() / r));
  }

  static bool reads_same(const Tensor& one, const Tensor& other) {
    static const tenon::Operator equal("aten::equal");
    return one && other && one.dtype() == other.dtype() && one.shape() == other.shape() &&
           equal.number<bool>(one, other);
  }

  void find_groups() {
    std::vector<Tensor> first(layers_.size());
    for (const EvaCall& call : first_calls_) {
      if (!first[call.layer]) first[call.layer] = call.rows;
    }
    leaders_.resize(layers_.size());
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      if (!first[i]) {
        fail_start(kEva, layers_[i].name + " did not run on the first batch",
                   "leave it out of target_modules");
      }
      const auto same =
          std::find_if(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(i),
                       [&](const Tensor& other) { return reads_same(first[i], other); });
      leaders_[i] = static_cast<std::size_t>(same - first.begin());
    }
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      std::int64_t& most = components_[leaders_[i]];
      most = std::max(most, components_[i]);
    }
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      components_[i] = components_[leaders_[i]];
      if (leaders_[i] == i) groups_.emplace(i, InputGroup(components_[i]));
    }
    ranks_ = components_;
  }

  void check_components() const {
    std::vector<std::string> problems;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      if (components_[i] <= layers_[i].in_features) continue;
      problems.push_back(layers_[i].name + " has inputs of " +
                         std::to_string(layers_[i].in_features) +
                         " features, and its rank may be " + std::to_string(components_[i]));
    }
    if (problems.empty()) return;
    fail_start(kEva, joined(problems, "; "), "lower r, or [adapter.eva_config] rho");
  }

  // Which groups go on being watched. Whether that is none.
  bool settle() {
    bool all = true;
    for (auto& [leader, group] : groups_) {
      group.is_watched = !group.has_settled(ranks_[leader]);
      all = all && !group.is_watched;
    }
    return all;
  }

  void fit(std::size_t layer, const Tensor& rows) {
    const auto found = groups_.find(layer);
    if (found == groups_.end() || !found->second.is_watched) return;
    if (rows.size(0) < found->second.pca.n_components()) return;
    const Tensor values = with_dtype(rows, TENON_DTYPE_FLOAT32);
    if (!is_finite(values)) {
      fail_start(kEva, "the inputs of " + layers_[layer].name + " are not finite",
                 "look for NaN in the data");
    }
    found->second.fit(values, config_.tau);
  }

  bool is_fitted() const {
    return std::all_of(groups_.begin(), groups_.end(),
                       [](const auto& entry) { return entry.second.pca.is_fitted(); });
  }

  void check_fitted() const {
    std::vector<std::string> problems;
    for (const auto& [leader, group] : groups_) {
      if (group.pca.is_fitted()) continue;
      problems.push_back(layers_[leader].name + " got no batch of the " +
                         std::to_string(group.pca.n_components()) + " rows that it needs");
    }
    if (problems.empty()) return;
    fail_start(kEva, joined(problems, "; "),
               "raise [train] batch_size, or lower r or [adapter.eva_config] rho");
  }

  [[noreturn]] void fail_unsettled() const {
    std::vector<std::string> names;
    for (const auto& [leader, group] : groups_) {
      if (group.is_watched) names.push_back(layers_[leader].name);
    }
    fail_start(kEva,
               "after " + std::to_string(batches_) + " batches the singular vectors of " +
                   joined(names) + " have not settled",
               "lower [adapter.eva_config] tau, or raise [train] batch_size");
  }

  // The ranks go to the components that explain most, of whichever layer; of equal ones to the
  // layers that have a decomposition of their own first, in the model's order.
  std::vector<std::int64_t> deal_ranks() const {
    std::vector<std::size_t> order;
    for (const bool leads : {true, false}) {
      for (std::size_t i = 0; i < layers_.size(); ++i) {
        if ((leaders_[i] == i) == leads) order.push_back(i);
      }
    }
    std::vector<std::pair<double, std::size_t>> shares;  // of a component, and its layer
    for (const std::size_t layer : order) {
      const std::vector<double> ratios =
          tenon::numbers_of<double>(groups_.at(leaders_[layer]).pca.explained_variance_ratio());
      for (std::int64_t i = 0; i < components_[layer]; ++i) {
        shares.emplace_back(ratios[static_cast<std::size_t>(i)], layer);
      }
    }
    std::stable_sort(shares.begin(), shares.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<std::int64_t> ranks(layers_.size());
    const auto dealt = std::min(static_cast<std::size_t>(budget_), shares.size());
    for (std::size_t i = 0; i < dealt; ++i) ++ranks[shares[i].second];
    // A leader's components must have settled up to the largest rank of its group.
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      if (ranks[leaders_[i]] < ranks[i]) std::swap(ranks[leaders_[i]], ranks[i]);
    }
    return ranks;
  }

  // lora_A of a layer, (rank, in).
  Tensor vectors(std::size_t layer) const {
    const IncrementalPca& pca = groups_.at(leaders_[layer]).pca;
    const std::int64_t rank = ranks_[layer];
    Tensor start = narrow(pca.components(), 0, 0, rank);
    if (config_.whiten) {
      start = start / unsqueeze(square_root(narrow(pca.singular_values(), 0, 0, rank)), 1);
    }
    return with_dtype(start, TENON_DTYPE_FLOAT32);
  }

  StartedLayers sorted_;
  EvaConfig config_;
  std::vector<EvaLayer> layers_;
  std::vector<std::int64_t> components_;  // by layer: the most that its rank may be
  std::int64_t budget_ = 0;
  std::int64_t batches_ = 0;
  std::vector<EvaCall> first_calls_;
  std::vector<std::size_t> leaders_;  // by layer: whose decomposition is its own
  std::map<std::size_t, InputGroup> groups_;
  std::vector<std::int64_t> ranks_;  // by layer
};

}  // namespace

std::unique_ptr<tenon::DataStart> eva_start(const tenon::DataRun& run) {
  return std::make_unique<Eva>(run);
}

}  // namespace lora
