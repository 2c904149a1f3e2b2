#include "objectives/metrics.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/suggest.h"
#include "objectives/metric_accumulators.h"

namespace tenon {
namespace {

using Kind = Predictions::Kind;
enum class Source { kCounts, kTop, kLogLoss, kRankedScores, kMoments, kRankedNumbers };

struct MetricFacts {
  Source source;
  std::vector<Kind> kinds;  // of predictions that it is measured of
};

const std::map<std::string, MetricFacts>& known_metrics() {
  static const std::map<std::string, MetricFacts> known = [] {
    const std::vector<Kind> sorted = {Kind::kClasses, Kind::kLabels};
    std::map<std::string, MetricFacts> all = {
        {"accuracy", {Source::kCounts, sorted}},
        {"balanced_accuracy", {Source::kCounts, {Kind::kClasses}}},
        {"matthews_corrcoef", {Source::kCounts, {Kind::kClasses}}},
        {"cohen_kappa", {Source::kCounts, {Kind::kClasses}}},
        {"log_loss", {Source::kLogLoss, {Kind::kClasses}}},
        {"perplexity", {Source::kLogLoss, {Kind::kClasses}}},
        {"roc_auc", {Source::kRankedScores, sorted}},
        {"roc_auc_ovr", {Source::kRankedScores, {Kind::kClasses}}},
        {"average_precision", {Source::kRankedScores, sorted}},
        {"spearman", {Source::kRankedNumbers, {Kind::kNumbers}}}};
    for (const char* name : {"precision", "recall", "f1"}) {
      for (const char* average : {"", "_macro", "_micro", "_weighted"}) {
        all[std::string(name) + average] = {Source::kCounts, sorted};
      }
    }
    for (const char* name : {"mse", "rmse", "mae", "r2", "pearson"}) {
      all[name] = {Source::kMoments, {Kind::kNumbers}};
    }
    return all;
  }();
  return known;
}

// K of "top_K_accuracy"; 0 if the name is another. scikit-learn's own default is 2.
std::int64_t top_of(const std::string& name) {
  constexpr std::string_view kBegin = "top_";
  constexpr std::string_view kEnd = "_accuracy";
  if (!name.starts_with(kBegin) || !name.ends_with(kEnd)) return 0;
  const std::string number = name.substr(kBegin.size(), name.size() - kBegin.size() - kEnd.size());
  if (number == "k") return 2;
  std::int64_t k = 0;
  const auto read = std::from_chars(number.data(), number.data() + number.size(), k);
  return read.ec == std::errc() && read.ptr == number.data() + number.size() ? k : 0;
}

const MetricFacts* facts_of(const std::string& name) {
  static const MetricFacts top{Source::kTop, {Kind::kClasses}};
  if (top_of(name) > 0) return &top;
  const auto found = known_metrics().find(name);
  return found == known_metrics().end() ? nullptr : &found->second;
}

const char* kind_text(Kind kind) {
  switch (kind) {
    case Kind::kClasses:
      return "classes";
    case Kind::kLabels:
      return "several labels of a row";
    default:
      return "numbers";
  }
}

std::unique_ptr<Metric> make_metric(Source source, Kind kind, const std::string& name) {
  switch (source) {
    case Source::kCounts:
      if (kind == Kind::kLabels) return std::make_unique<LabelCounts>();
      return std::make_unique<ClassCounts>();
    case Source::kTop:
      return std::make_unique<TopAccuracy>(top_of(name));
    case Source::kLogLoss:
      return std::make_unique<LogLoss>();
    case Source::kRankedScores:
      return std::make_unique<RankedScores>();
    case Source::kMoments:
      return std::make_unique<NumberMoments>();
    default:
      return std::make_unique<RankedNumbers>();
  }
}

[[noreturn]] void refuse(const std::string& name, Kind kind, const std::string& location) {
  throw Error({.stage = Stage::kConfig,
               .message = "[train] metrics has `" + name + "`, which is not measured of " +
                          kind_text(kind) + ", and that is what the loss is of",
               .hint = "leave it out, or take another loss",
               .location = location});
}

// What a plugin's metric is to judge of it; nothing where it has no such metrics.
std::optional<tenon_judged> judged_of(Kind kind) {
  if (kind == Kind::kClasses) return TENON_JUDGED_CLASSES;
  if (kind == Kind::kNumbers) return TENON_JUDGED_NUMBERS;
  return std::nullopt;
}

class OfPlugin : public Metric {
 public:
  OfPlugin(const BoundMetric& bound, std::string name)
      : name_(std::move(name)), count_(*bound.metric, bound.options) {}
  void add(const Predictions& batch) override {
    if (batch.kind == Kind::kClasses) return count_.add(batch.scores, batch.truth);
    count_.add(batch.scores.to(at::kDouble), batch.truth.to(at::kDouble));
  }
  double value(const std::string&) const override { return count_.value(); }
  // What it has counted is the plugin's own.
  std::vector<double> counted() const override { return {1}; }
  void count_in(const std::vector<double>& /*other*/) override {
    throw Error({.stage = Stage::kConfig,
                 .message = "[train] metrics has `" + name_ +
                            "`, which is a plugin's, and what several processes count of it "
                            "cannot be counted together",
                 .hint = "leave it out, or run one process"});
  }

 private:
  std::string name_;
  PluginMetric::Count count_;
};

}  // namespace

MetricSet::MetricSet(const std::vector<std::string>& names, Predictions::Kind kind,
                     const std::string& location, const Objectives& objectives) {
  std::map<Source, Metric*> made;
  for (const std::string& name : names) {
    const auto bound = objectives.metrics.find(name);
    if (bound != objectives.metrics.end()) {
      if (bound->second->metric->judged() != judged_of(kind)) refuse(name, kind, location);
      named_.push_back(
          {name, metrics_.emplace_back(std::make_unique<OfPlugin>(*bound->second, name)).get()});
      continue;
    }
    const MetricFacts* facts = facts_of(name);
    if (facts == nullptr) {
      const std::string near = did_you_mean(name, metric_names());
      throw Error({.stage = Stage::kConfig,
                   .message = "[train] metrics has `" + name + "`, which is none; " +
                              (near.empty() ? "there are " + join(metric_names()) : near),
                   .location = location});
    }
    if (std::ranges::count(facts->kinds, kind) == 0) refuse(name, kind, location);
    Metric*& metric = made[facts->source];
    if (metric == nullptr || facts->source == Source::kTop) {
      metric = metrics_.emplace_back(make_metric(facts->source, kind, name)).get();
      if (facts->source == Source::kCounts && kind == Kind::kClasses) {
        counts_ = static_cast<const ClassCounts*>(metric);
      }
    }
    named_.push_back({name, metric});
  }
}

std::vector<std::string> metric_names() {
  std::vector<std::string> names = {"top_5_accuracy"};
  for (const auto& [name, facts] : known_metrics()) names.push_back(name);
  return names;
}

void MetricSet::add(const Predictions& batch) {
  for (const auto& metric : metrics_) metric->add(batch);
}

std::vector<std::vector<double>> MetricSet::counted() const {
  std::vector<std::vector<double>> all;
  all.reserve(metrics_.size());
  for (const auto& metric : metrics_) all.push_back(metric->counted());
  return all;
}

void MetricSet::count_in(std::size_t metric, const std::vector<double>& other) {
  if (!other.empty()) metrics_.at(metric)->count_in(other);
}

Measures MetricSet::values() const {
  Measures measures;
  for (const Named& named : named_) measures[named.name] = named.metric->value(named.name);
  return measures;
}

std::optional<ConfusionMatrix> MetricSet::confusion() const {
  if (counts_ == nullptr) return std::nullopt;
  return counts_->matrix();
}

}  // namespace tenon
