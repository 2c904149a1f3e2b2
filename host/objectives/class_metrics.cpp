#include <ATen/ops/arange.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/log_softmax.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "objectives/metric_accumulators.h"

namespace tenon {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

double ratio(double part, double whole) { return whole == 0 ? 0 : part / whole; }

// How well one label is told.
struct LabelFacts {
  double hits = 0;
  double said = 0;
  double truth = 0;

  double value(const std::string& what) const {
    if (what == "precision") return ratio(hits, said);
    if (what == "recall") return ratio(hits, truth);
    return ratio(2 * hits, said + truth);
  }
};

// "f1_macro" is "f1" and "macro"; "f1" alone is of the label 1.
std::pair<std::string, std::string> split_average(const std::string& name) {
  const std::size_t place = name.find('_');
  if (place == std::string::npos) return {name, "binary"};
  return {name.substr(0, place), name.substr(place + 1)};
}

// scikit-learn's averages over labels.
double averaged(const std::vector<LabelFacts>& labels, const std::string& what,
                const std::string& average) {
  LabelFacts all;
  double sum = 0;
  double weighted = 0;
  for (const LabelFacts& label : labels) {
    all.hits += label.hits;
    all.said += label.said;
    all.truth += label.truth;
    sum += label.value(what);
    weighted += label.value(what) * label.truth;
  }
  if (average == "micro") return all.value(what);
  if (average == "weighted") return ratio(weighted, all.truth);
  return ratio(sum, static_cast<double>(labels.size()));
}

std::vector<std::int64_t> integers(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kCPU, at::kLong).contiguous();
  return {flat.const_data_ptr<std::int64_t>(), flat.const_data_ptr<std::int64_t>() + flat.numel()};
}

}  // namespace

void ClassCounts::add(const Predictions& batch) {
  const std::int64_t classes = batch.scores.size(1);
  if (classes_ == 0) {
    classes_ = classes;
    counts_.resize(static_cast<std::size_t>(classes * classes));
  }
  const at::Tensor pairs = batch.truth * classes_ + at::argmax(batch.scores, 1);
  const auto found = integers(at::bincount(pairs, {}, classes_ * classes_));
  for (std::size_t i = 0; i < found.size(); ++i) counts_[i] += found[i];
}

double ClassCounts::at(std::int64_t truth, std::int64_t said) const {
  return static_cast<double>(counts_[static_cast<std::size_t>(truth * classes_ + said)]);
}

double ClassCounts::of_truth(std::int64_t label) const {
  double sum = 0;
  for (std::int64_t said = 0; said < classes_; ++said) sum += at(label, said);
  return sum;
}

double ClassCounts::of_said(std::int64_t label) const {
  double sum = 0;
  for (std::int64_t truth = 0; truth < classes_; ++truth) sum += at(truth, label);
  return sum;
}

double ClassCounts::correct() const {
  double sum = 0;
  for (std::int64_t label = 0; label < classes_; ++label) sum += at(label, label);
  return sum;
}

double ClassCounts::all() const {
  double sum = 0;
  for (std::int64_t label = 0; label < classes_; ++label) sum += of_truth(label);
  return sum;
}

double ClassCounts::value(const std::string& name) const {
  if (name == "accuracy") return correct() / all();
  double said_truth = 0;  // as often as chance would have it, times all
  double said_square = 0;
  double truth_square = 0;
  double recalls = 0;
  double known = 0;
  std::vector<LabelFacts> labels;  // that occur
  for (std::int64_t label = 0; label < classes_; ++label) {
    const LabelFacts facts{at(label, label), of_said(label), of_truth(label)};
    said_truth += facts.said * facts.truth;
    said_square += facts.said * facts.said;
    truth_square += facts.truth * facts.truth;
    if (facts.truth > 0) {
      recalls += facts.hits / facts.truth;
      ++known;
    }
    if (facts.said > 0 || facts.truth > 0) labels.push_back(facts);
  }
  const double rows = all();
  if (name == "balanced_accuracy") return recalls / known;
  if (name == "cohen_kappa") {
    const double expected = said_truth / rows;
    return rows == expected ? kUndefined : (correct() - expected) / (rows - expected);
  }
  if (name == "matthews_corrcoef") {
    const double spread = std::sqrt((rows * rows - said_square) * (rows * rows - truth_square));
    return spread == 0 ? 0 : (correct() * rows - said_truth) / spread;
  }
  const auto [what, average] = split_average(name);
  if (average != "binary") return averaged(labels, what, average);
  if (classes_ != 2) return kUndefined;
  return LabelFacts{at(1, 1), of_said(1), of_truth(1)}.value(what);
}

ConfusionMatrix ClassCounts::matrix() const {
  ConfusionMatrix matrix;
  for (std::int64_t truth = 0; truth < classes_; ++truth) {
    matrix.emplace_back(counts_.begin() + truth * classes_,
                        counts_.begin() + (truth + 1) * classes_);
  }
  return matrix;
}

void LabelCounts::add(const Predictions& batch) {
  const at::Tensor said = batch.scores > 0;
  const auto hits = integers((said & batch.truth).sum(0));
  const auto wrong = integers((said & ~batch.truth).sum(0));
  const auto missed = integers((~said & batch.truth).sum(0));
  true_positive_.resize(hits.size());
  false_positive_.resize(hits.size());
  false_negative_.resize(hits.size());
  for (std::size_t i = 0; i < hits.size(); ++i) {
    true_positive_[i] += static_cast<double>(hits[i]);
    false_positive_[i] += static_cast<double>(wrong[i]);
    false_negative_[i] += static_cast<double>(missed[i]);
  }
  right_ += at::eq(said, batch.truth).sum().item<double>();
  all_ += static_cast<double>(said.numel());
}

double LabelCounts::value(const std::string& name) const {
  if (name == "accuracy") return right_ / all_;
  std::vector<LabelFacts> labels;
  for (std::size_t i = 0; i < true_positive_.size(); ++i) {
    labels.push_back({true_positive_[i], true_positive_[i] + false_positive_[i],
                      true_positive_[i] + false_negative_[i]});
  }
  const auto [what, average] = split_average(name);
  if (average != "binary") return averaged(labels, what, average);
  return labels.size() == 1 ? labels.front().value(what) : kUndefined;
}

// Of equal scores the later class comes first, as scikit-learn sorts them.
void TopAccuracy::add(const Predictions& batch) {
  const at::Tensor truth = batch.truth.unsqueeze(1);
  const at::Tensor own = at::gather(batch.scores, 1, truth);
  const at::Tensor places = at::arange(batch.scores.size(1), batch.truth.options());
  const at::Tensor before =
      (batch.scores > own) | (at::eq(batch.scores, own) & (places.unsqueeze(0) > truth));
  hits_ += (before.sum(1) < k_).sum().item<std::int64_t>();
  rows_ += batch.truth.size(0);
}

double TopAccuracy::value(const std::string& /*name*/) const {
  return static_cast<double>(hits_) / static_cast<double>(rows_);
}

void LogLoss::add(const Predictions& batch) {
  constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
  const at::Tensor logs =
      at::gather(at::log_softmax(batch.scores.to(at::kDouble), 1), 1, batch.truth.unsqueeze(1));
  whole_ -= logs.sum().item<double>();
  clipped_ -= logs.exp().clamp(kEpsilon, 1 - kEpsilon).log().sum().item<double>();
  rows_ += static_cast<double>(batch.truth.size(0));
}

double LogLoss::value(const std::string& name) const {
  return name == "perplexity" ? std::exp(whole_ / rows_) : clipped_ / rows_;
}

}  // namespace tenon
