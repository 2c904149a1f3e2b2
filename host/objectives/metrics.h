#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "objectives/best_value.h"
#include "objectives/objectives.h"

// What [train] metrics measures: over the whole set, not averaged over its batches. The numbers are
// scikit-learn's functions of the same names, and scipy's.
namespace tenon {

// What a model said of some rows, and what is so.
struct Predictions {
  enum class Kind { kClasses, kLabels, kNumbers };
  Kind kind = Kind::kClasses;
  at::Tensor
      scores;        // (n, classes), logits or log-probabilities; (n, labels), logits; (n, columns)
  at::Tensor truth;  // (n) int64; (n, labels) bool; (n, columns)
};

// One accumulator, which may serve several metrics.
class Metric {
 public:
  Metric() = default;
  virtual ~Metric() = default;
  Metric(const Metric&) = delete;
  Metric& operator=(const Metric&) = delete;
  virtual void add(const Predictions& batch) = 0;
  virtual double value(const std::string& name) const = 0;  // NaN where it is not defined
  // All that it has counted, as numbers; none where that is nothing.
  virtual std::vector<double> counted() const = 0;
  // Counts in what another of the same metric has.
  virtual void count_in(const std::vector<double>& other) = 0;
};

// The rows of a confusion matrix are what is so, its columns what the model said.
using ConfusionMatrix = std::vector<std::vector<std::int64_t>>;

class MetricSet {
 public:
  // Throws Error{kConfig} for a name that there is none of, or that does not fit what is predicted.
  MetricSet(const std::vector<std::string>& names, Predictions::Kind kind,
            const std::string& location, const Objectives& objectives = {});
  void add(const Predictions& batch);
  // Of each accumulator; and those of another set of the same names.
  std::vector<std::vector<double>> counted() const;
  void count_in(std::size_t metric, const std::vector<double>& other);
  Measures values() const;
  // Of classes, where a metric needs one.
  std::optional<ConfusionMatrix> confusion() const;

 private:
  struct Named {
    std::string name;
    Metric* metric;
  };
  std::vector<std::unique_ptr<Metric>> metrics_;
  std::vector<Named> named_;
  const class ClassCounts* counts_ = nullptr;
};

// Every metric that there is; of "top_5_accuracy" any other number too.
std::vector<std::string> metric_names();

}  // namespace tenon
