#include "start/eva.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/suggest.h"
#include "start/incremental_pca.h"
#include "start/layer_inputs.h"

namespace tenon {
namespace {

// Layers that read the same input, the first of which stands for all.
struct Group {
  explicit Group(std::int64_t components) : pca(components) {}

  IncrementalPca pca;
  std::vector<bool> settled = std::vector<bool>(static_cast<std::size_t>(pca.n_components()));
  bool is_watched = true;

  bool has_settled(std::int64_t rank) const {
    return std::all_of(settled.begin(), settled.begin() + rank, [](bool each) { return each; });
  }
  void fit(const at::Tensor& rows, double tau) {
    const at::Tensor before = pca.components();
    pca.fit(rows);
    if (!before.defined()) return;
    const at::Tensor similar = at::cosine_similarity(pca.components(), before).to(at::kDouble);
    for (std::size_t i = 0; i < settled.size(); ++i) {
      settled[i] = similar[static_cast<std::int64_t>(i)].item<double>() >= tau;
    }
  }
};

[[noreturn]] void fail_eva(const std::string& what, const std::string& hint) {
  throw Error(
      {.stage = Stage::kTraining, .message = "init_lora_weights = \"eva\": " + what, .hint = hint});
}

class Eva {
 public:
  Eva(const AdaptedModel& model, const std::vector<EvaLayer>& layers, const EvaConfig& config,
      std::int64_t r, BatchOrder& batches)
      : model_(model), layers_(layers), config_(config), batches_(batches) {
    for (std::size_t i = 0; i < layers.size(); ++i) numbers_.emplace(layers[i].path, i);
    const double rho = bounded_rho(r);
    for (const EvaLayer& layer : layers) {
      // As Python rounds: a half to the even number.
      components_.push_back(std::llrint(static_cast<double>(layer.rank) * rho));
      budget_ += layer.rank;
    }
  }

  std::vector<at::Tensor> run() {
    std::vector<Call> calls;
    observe([&](std::size_t layer, const at::Tensor& rows) { calls.push_back({layer, rows}); });
    find_groups(calls);
    check_components();
    std::vector<std::int64_t> ranks = components_;
    // PEFT goes on for ever where the data let no component settle.
    const std::int64_t limit = std::max<std::int64_t>(1000, 10 * batches_.steps_per_epoch());
    for (std::int64_t step = 0; !settle(ranks); ++step) {
      if (step == limit) fail_unsettled(step);
      if (step > 0) observe([&](std::size_t layer, const at::Tensor& rows) { fit(layer, rows); });
      for (const Call& call : std::exchange(calls, {})) fit(call.layer, call.rows);
      if (step + 1 == batches_.steps_per_epoch()) check_fitted();
      if (is_fitted()) ranks = deal_ranks();
    }
    return vectors(ranks);
  }

 private:
  // A very large rho is bounded by the base's largest dimension.
  double bounded_rho(std::int64_t r) const {
    constexpr double kLarge = 1000;
    if (config_.rho <= kLarge) return config_.rho;
    std::int64_t largest = 0;
    for (const ModelTensor& tensor : model_.base_tensors()) {
      if (tensor.kind != ValueKind::kParameter) continue;
      for (const std::int64_t size : tensor.tensor.sizes()) largest = std::max(largest, size);
    }
    return std::min(config_.rho, static_cast<double>(largest / r));
  }

  // One call of a layer.
  struct Call {
    std::size_t layer;
    at::Tensor rows;  // of its input
  };

  // Runs the next batch and shows `use` each call's layer and rows.
  void observe(const std::function<void(std::size_t layer, const at::Tensor& rows)>& use) {
    const Batch batch = std::move(batches_.next().front());
    const std::optional<std::int64_t> unlabelled =
        config_.use_label_mask ? std::optional(config_.label_mask_value) : std::nullopt;
    const at::Tensor positions = used_positions(model_.model().inputs, batch, unlabelled);
    observe_inputs(model_, batch, [&](const std::string& path, const at::Tensor& input) {
      const auto number = numbers_.find(path);
      if (number != numbers_.end()) use(number->second, used_rows(input, positions));
    });
  }

  void find_groups(const std::vector<Call>& calls) {
    std::vector<at::Tensor> first(layers_.size());
    for (const Call& call : calls) {
      if (!first[call.layer].defined()) first[call.layer] = call.rows;
    }
    leaders_.resize(layers_.size());
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      if (!first[i].defined()) {
        fail_eva("`" + layers_[i].path + "` did not run on the first batch",
                 "leave it out of target_modules");
      }
      const auto same = std::find_if(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(i),
                                     [&](const at::Tensor& other) {
                                       return first[i].scalar_type() == other.scalar_type() &&
                                              first[i].equal(other);
                                     });
      leaders_[i] = static_cast<std::size_t>(same - first.begin());
    }
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      std::int64_t& most = components_[leaders_[i]];
      most = std::max(most, components_[i]);
    }
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      components_[i] = components_[leaders_[i]];
      if (leaders_[i] == i) groups_.emplace(i, Group(components_[i]));
    }
  }

  void check_components() const {
    std::vector<std::string> problems;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      if (components_[i] <= layers_[i].in_features) continue;
      problems.push_back("`" + layers_[i].path + "` has inputs of " +
                         std::to_string(layers_[i].in_features) +
                         " features, and its rank may be " + std::to_string(components_[i]));
    }
    if (problems.empty()) return;
    fail_eva(join(problems, "; "), "lower r, or [adapter.eva_config] rho");
  }

  // Which groups go on being watched. Whether that is none.
  bool settle(const std::vector<std::int64_t>& ranks) {
    bool all = true;
    for (auto& [leader, group] : groups_) {
      group.is_watched = !group.has_settled(ranks[leader]);
      all = all && !group.is_watched;
    }
    return all;
  }

  void fit(std::size_t layer, const at::Tensor& rows) {
    const auto found = groups_.find(layer);
    if (found == groups_.end() || !found->second.is_watched) return;
    if (rows.size(0) < found->second.pca.n_components()) return;
    const at::Tensor values = rows.to(at::kFloat);
    if (!at::isfinite(values).all().item<bool>()) {
      fail_eva("the inputs of `" + layers_[layer].path + "` are not finite",
               "look for NaN in the data");
    }
    found->second.fit(values, config_.tau);
  }

  bool is_fitted() const {
    return std::ranges::all_of(groups_,
                               [](const auto& entry) { return entry.second.pca.is_fitted(); });
  }

  void check_fitted() const {
    std::vector<std::string> problems;
    for (const auto& [leader, group] : groups_) {
      if (group.pca.is_fitted()) continue;
      problems.push_back("`" + layers_[leader].path + "` got no batch of the " +
                         std::to_string(group.pca.n_components()) + " rows that it needs");
    }
    if (problems.empty()) return;
    fail_eva(join(problems, "; "),
             "raise [train] batch_size, or lower r or [adapter.eva_config] rho");
  }

  [[noreturn]] void fail_unsettled(std::int64_t steps) const {
    std::vector<std::string> names;
    for (const auto& [leader, group] : groups_) {
      if (group.is_watched) names.push_back("`" + layers_[leader].path + "`");
    }
    fail_eva("after " + std::to_string(steps) + " batches the singular vectors of " + join(names) +
                 " have not settled",
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
      const at::Tensor ratios =
          groups_.at(leaders_[layer]).pca.explained_variance_ratio().to(at::kDouble);
      for (std::int64_t i = 0; i < components_[layer]; ++i) {
        shares.emplace_back(ratios[i].item<double>(), layer);
      }
    }
    std::ranges::stable_sort(shares, std::greater<>(), &std::pair<double, std::size_t>::first);
    std::vector<std::int64_t> ranks(layers_.size());
    const auto dealt = std::min(static_cast<std::size_t>(budget_), shares.size());
    for (std::size_t i = 0; i < dealt; ++i) ++ranks[shares[i].second];
    // A leader's components must have settled up to the largest rank of its group.
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      if (ranks[leaders_[i]] < ranks[i]) std::swap(ranks[leaders_[i]], ranks[i]);
    }
    return ranks;
  }

  std::vector<at::Tensor> vectors(const std::vector<std::int64_t>& ranks) const {
    std::vector<at::Tensor> starts;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const IncrementalPca& pca = groups_.at(leaders_[i]).pca;
      at::Tensor start = pca.components().narrow(0, 0, ranks[i]);
      if (config_.whiten) {
        start = start / pca.singular_values().narrow(0, 0, ranks[i]).sqrt().unsqueeze(1);
      }
      starts.push_back(start.to(at::kFloat));
    }
    return starts;
  }

  const AdaptedModel& model_;
  const std::vector<EvaLayer>& layers_;
  const EvaConfig& config_;
  BatchOrder& batches_;
  std::map<std::string, std::size_t> numbers_;  // of layers_ by path
  std::vector<std::int64_t> components_;        // by layer: the most that its rank may be
  std::int64_t budget_ = 0;
  std::vector<std::size_t> leaders_;  // by layer: whose decomposition is its own
  std::map<std::size_t, Group> groups_;
};

}  // namespace

std::vector<at::Tensor> eva_start(const AdaptedModel& model, const std::vector<EvaLayer>& layers,
                                  const EvaConfig& config, std::int64_t r, BatchOrder& batches) {
  return Eva(model, layers, config, r, batches).run();
}

}  // namespace tenon
