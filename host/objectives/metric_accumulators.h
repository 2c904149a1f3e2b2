#pragma once

#include <map>
#include <vector>

#include "objectives/metrics.h"

// The accumulators behind MetricSet. Their memory does not grow with the rows, but where a metric
// goes by the order of all scores.
namespace tenon {

// accuracy, balanced_accuracy, precision..., recall..., f1..., matthews_corrcoef, cohen_kappa.
class ClassCounts : public Metric {
 public:
  void add(const Predictions& batch) override;
  double value(const std::string& name) const override;
  std::vector<double> counted() const override;
  void count_in(const std::vector<double>& other) override;
  ConfusionMatrix matrix() const;

 private:
  double at(std::int64_t truth, std::int64_t said) const;
  double of_truth(std::int64_t label) const;
  double of_said(std::int64_t label) const;
  double correct() const;
  double all() const;

  std::int64_t classes_ = 0;
  std::vector<std::int64_t> counts_;  // truth * classes + said
};

// The same where each row has several labels.
class LabelCounts : public Metric {
 public:
  void add(const Predictions& batch) override;
  double value(const std::string& name) const override;
  std::vector<double> counted() const override;
  void count_in(const std::vector<double>& other) override;

 private:
  std::vector<double> true_positive_, false_positive_, false_negative_;
  double right_ = 0, all_ = 0;  // single labels
};

// top_K_accuracy.
class TopAccuracy : public Metric {
 public:
  explicit TopAccuracy(std::int64_t k) : k_(k) {}
  void add(const Predictions& batch) override;
  double value(const std::string& name) const override;
  std::vector<double> counted() const override;
  void count_in(const std::vector<double>& other) override;

 private:
  std::int64_t k_;
  std::int64_t hits_ = 0, rows_ = 0;
};

// log_loss, perplexity.
class LogLoss : public Metric {
 public:
  void add(const Predictions& batch) override;
  double value(const std::string& name) const override;
  std::vector<double> counted() const override;
  void count_in(const std::vector<double>& other) override;

 private:
  double clipped_ = 0, whole_ = 0, rows_ = 0;
};

// roc_auc, roc_auc_ovr, average_precision: all scores are kept.
class RankedScores : public Metric {
 public:
  void add(const Predictions& batch) override;
  double value(const std::string& name) const override;
  std::vector<double> counted() const override;
  void count_in(const std::vector<double>& other) override;

 private:
  std::vector<std::vector<std::pair<double, bool>>> columns_;  // score, and whether it is so
  bool has_classes_ = false;
};

// mse, rmse, mae, r2, pearson.
class NumberMoments : public Metric {
 public:
  void add(const Predictions& batch) override;
  double value(const std::string& name) const override;
  std::vector<double> counted() const override;
  void count_in(const std::vector<double>& other) override;

 private:
  struct Column {
    double squared_error = 0, absolute_error = 0;
    double truth_mean = 0, said_mean = 0;  // and sums of products of what differs from them
    double truth_square = 0, said_square = 0, product = 0;
  };
  double of_column(const Column& column, const std::string& name) const;

  double rows_ = 0;
  std::vector<Column> columns_;
};

// spearman: all numbers are kept.
class RankedNumbers : public Metric {
 public:
  void add(const Predictions& batch) override;
  double value(const std::string& name) const override;
  std::vector<double> counted() const override;
  void count_in(const std::vector<double>& other) override;

 private:
  std::vector<std::vector<double>> truth_, said_;  // by column
};

}  // namespace tenon
