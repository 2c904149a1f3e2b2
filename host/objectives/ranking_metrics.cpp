#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "objectives/metric_accumulators.h"

namespace tenon {
namespace {

constexpr double kUnranked = std::numeric_limits<double>::quiet_NaN();
using Scored = std::vector<std::pair<double, bool>>;

Scored by_score(Scored scores) {
  std::ranges::stable_sort(scores, [](const auto& a, const auto& b) { return a.first > b.first; });
  return scores;
}

double count_so(const Scored& scores) {
  return static_cast<double>(std::ranges::count_if(scores, [](const auto& s) { return s.second; }));
}

// Calls step(positives so far, rows so far) after each group of equal scores, the largest first.
template <typename Step>
void for_each_threshold(const Scored& sorted, const Step& step) {
  double positives = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    positives += sorted[i].second ? 1 : 0;
    const bool is_last = i + 1 == sorted.size() || sorted[i + 1].first != sorted[i].first;
    if (is_last) step(positives, static_cast<double>(i + 1));
  }
}

double area_under_roc(const Scored& scores) {
  const double positives = count_so(scores);
  const double negatives = static_cast<double>(scores.size()) - positives;
  if (positives == 0 || negatives == 0) return kUnranked;
  double area = 0;
  double before_true = 0;
  double before_false = 0;
  for_each_threshold(by_score(scores), [&](double found, double rows) {
    const double wrong = rows - found;
    area += (wrong - before_false) * (found + before_true) / 2;
    before_true = found;
    before_false = wrong;
  });
  return area / (positives * negatives);
}

double average_precision_of(const Scored& scores) {
  const double positives = count_so(scores);
  if (positives == 0) return 0;
  double sum = 0;
  double before = 0;
  for_each_threshold(by_score(scores), [&](double found, double rows) {
    sum += (found - before) / positives * (found / rows);
    before = found;
  });
  return sum;
}

// Ranks from 1; equal values share the mean of theirs.
std::vector<double> ranks_of(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return values[i]; });
  std::vector<double> ranks(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t end = first + 1;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    const double rank = static_cast<double>(first + end + 1) / 2;
    for (std::size_t i = first; i < end; ++i) ranks[order[i]] = rank;
    first = end;
  }
  return ranks;
}

double correlation(const std::vector<double>& one, const std::vector<double>& other) {
  const double count = static_cast<double>(one.size());
  const double one_mean = std::accumulate(one.begin(), one.end(), 0.0) / count;
  const double other_mean = std::accumulate(other.begin(), other.end(), 0.0) / count;
  double product = 0;
  double one_square = 0;
  double other_square = 0;
  for (std::size_t i = 0; i < one.size(); ++i) {
    product += (one[i] - one_mean) * (other[i] - other_mean);
    one_square += (one[i] - one_mean) * (one[i] - one_mean);
    other_square += (other[i] - other_mean) * (other[i] - other_mean);
  }
  if (one_square == 0 || other_square == 0) return kUnranked;
  return std::clamp(product / std::sqrt(one_square) / std::sqrt(other_square), -1.0, 1.0);
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Values of a matrix, row after row, as float64.
std::vector<double> doubles_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kCPU, at::kDouble).contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

}  // namespace

void RankedScores::add(const Predictions& batch) {
  has_classes_ = batch.kind == Predictions::Kind::kClasses;
  const at::Tensor scores = batch.scores.to(at::kDouble);
  const std::vector<double> likely =
      doubles_of(has_classes_ ? at::softmax(scores, 1) : at::sigmoid(scores));
  const std::vector<double> truth = doubles_of(batch.truth);
  const auto columns = static_cast<std::size_t>(batch.scores.size(1));
  const auto rows = static_cast<std::size_t>(batch.scores.size(0));
  columns_.resize(columns);
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t column = 0; column < columns; ++column) {
      const bool is_so = has_classes_ ? truth[row] == static_cast<double>(column)
                                      : truth[row * columns + column] != 0;
      columns_[column].emplace_back(likely[row * columns + column], is_so);
    }
  }
}

double RankedScores::value(const std::string& name) const {
  const auto of_column = [&](const Scored& scores) {
    return name == "average_precision" ? average_precision_of(scores) : area_under_roc(scores);
  };
  if (has_classes_ && columns_.size() == 2) return of_column(columns_[1]);
  if (has_classes_ && name == "roc_auc") return kUnranked;
  std::vector<double> values;
  for (const Scored& scores : columns_) values.push_back(of_column(scores));
  return mean_of(values);
}

void NumberMoments::add(const Predictions& batch) {
  const std::vector<double> said = doubles_of(batch.scores);
  const std::vector<double> truth = doubles_of(batch.truth);
  columns_.resize(static_cast<std::size_t>(batch.scores.size(1)));
  const std::size_t count = columns_.size();
  for (std::size_t first = 0; first < said.size(); first += count) {
    rows_ += 1;
    for (std::size_t i = 0; i < count; ++i) {
      Column& column = columns_[i];
      const double y = truth[first + i];
      const double p = said[first + i];
      column.squared_error += (y - p) * (y - p);
      column.absolute_error += std::abs(y - p);
      // Welford's: no difference of large sums.
      const double truth_step = y - column.truth_mean;
      const double said_step = p - column.said_mean;
      column.truth_mean += truth_step / rows_;
      column.said_mean += said_step / rows_;
      column.truth_square += truth_step * (y - column.truth_mean);
      column.said_square += said_step * (p - column.said_mean);
      column.product += truth_step * (p - column.said_mean);
    }
  }
}

double NumberMoments::of_column(const Column& column, const std::string& name) const {
  if (name == "mse") return column.squared_error / rows_;
  if (name == "rmse") return std::sqrt(column.squared_error / rows_);
  if (name == "mae") return column.absolute_error / rows_;
  if (name == "r2") {
    if (rows_ < 2) return kUnranked;
    if (column.truth_square == 0) return column.squared_error == 0 ? 1 : 0;
    return 1 - column.squared_error / column.truth_square;
  }
  if (column.truth_square == 0 || column.said_square == 0) return kUnranked;
  const double value =
      column.product / std::sqrt(column.truth_square) / std::sqrt(column.said_square);
  return std::clamp(value, -1.0, 1.0);
}

double NumberMoments::value(const std::string& name) const {
  std::vector<double> values;
  for (const Column& column : columns_) values.push_back(of_column(column, name));
  return mean_of(values);
}

void RankedNumbers::add(const Predictions& batch) {
  const std::vector<double> said = doubles_of(batch.scores);
  const std::vector<double> truth = doubles_of(batch.truth);
  const auto columns = static_cast<std::size_t>(batch.scores.size(1));
  truth_.resize(columns);
  said_.resize(columns);
  for (std::size_t i = 0; i < said.size(); ++i) {
    said_[i % columns].push_back(said[i]);
    truth_[i % columns].push_back(truth[i]);
  }
}

double RankedNumbers::value(const std::string& /*name*/) const {
  std::vector<double> values;
  for (std::size_t i = 0; i < truth_.size(); ++i) {
    values.push_back(correlation(ranks_of(truth_[i]), ranks_of(said_[i])));
  }
  return mean_of(values);
}

}  // namespace tenon
