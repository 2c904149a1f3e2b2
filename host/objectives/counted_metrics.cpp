#include <algorithm>
#include <cstddef>

#include "objectives/metric_accumulators.h"

// What each accumulator has counted, as a list of numbers, so that what processes counted of parts
// of the rows can be counted together.
namespace tenon {
namespace {

// Reads a list from its start.
class NumberReader {
 public:
  explicit NumberReader(const std::vector<double>& numbers) : numbers_(numbers) {}
  double next() { return numbers_.at(place_++); }
  std::size_t next_size() { return static_cast<std::size_t>(next()); }

 private:
  const std::vector<double>& numbers_;
  std::size_t place_ = 0;
};

void append(std::vector<double>& numbers, const std::vector<double>& more) {
  numbers.insert(numbers.end(), more.begin(), more.end());
}

}  // namespace

std::vector<double> ClassCounts::counted() const {
  if (classes_ == 0) return {};
  std::vector<double> numbers = {static_cast<double>(classes_)};
  for (const std::int64_t count : counts_) numbers.push_back(static_cast<double>(count));
  return numbers;
}

void ClassCounts::count_in(const std::vector<double>& other) {
  NumberReader reader(other);
  classes_ = static_cast<std::int64_t>(reader.next());
  counts_.resize(static_cast<std::size_t>(classes_ * classes_));
  for (std::int64_t& count : counts_) count += static_cast<std::int64_t>(reader.next());
}

std::vector<double> LabelCounts::counted() const {
  if (all_ == 0) return {};
  std::vector<double> numbers = {right_, all_, static_cast<double>(true_positive_.size())};
  for (const auto* counts : {&true_positive_, &false_positive_, &false_negative_}) {
    append(numbers, *counts);
  }
  return numbers;
}

void LabelCounts::count_in(const std::vector<double>& other) {
  NumberReader reader(other);
  right_ += reader.next();
  all_ += reader.next();
  const std::size_t labels = reader.next_size();
  for (auto* counts : {&true_positive_, &false_positive_, &false_negative_}) {
    counts->resize(labels);
    for (double& count : *counts) count += reader.next();
  }
}

std::vector<double> TopAccuracy::counted() const {
  return {static_cast<double>(hits_), static_cast<double>(rows_)};
}

void TopAccuracy::count_in(const std::vector<double>& other) {
  hits_ += static_cast<std::int64_t>(other.at(0));
  rows_ += static_cast<std::int64_t>(other.at(1));
}

std::vector<double> LogLoss::counted() const { return {clipped_, whole_, rows_}; }

void LogLoss::count_in(const std::vector<double>& other) {
  clipped_ += other.at(0);
  whole_ += other.at(1);
  rows_ += other.at(2);
}

std::vector<double> RankedScores::counted() const {
  if (columns_.empty()) return {};
  std::vector<double> numbers = {has_classes_ ? 1.0 : 0.0, static_cast<double>(columns_.size()),
                                 static_cast<double>(columns_.front().size())};
  for (const auto& column : columns_) {
    for (const auto& [score, is_so] : column) append(numbers, {score, is_so ? 1.0 : 0.0});
  }
  return numbers;
}

void RankedScores::count_in(const std::vector<double>& other) {
  NumberReader reader(other);
  has_classes_ = reader.next() != 0;
  columns_.resize(reader.next_size());
  const std::size_t rows = reader.next_size();
  for (auto& column : columns_) {
    for (std::size_t row = 0; row < rows; ++row) {
      const double score = reader.next();
      column.emplace_back(score, reader.next() != 0);
    }
  }
}

std::vector<double> NumberMoments::counted() const {
  if (rows_ == 0) return {};
  std::vector<double> numbers = {rows_, static_cast<double>(columns_.size())};
  for (const Column& one : columns_) {
    append(numbers, {one.squared_error, one.absolute_error, one.truth_mean, one.said_mean,
                     one.truth_square, one.said_square, one.product});
  }
  return numbers;
}

// Chan's: as if the rows of both had been counted one after the other.
void NumberMoments::count_in(const std::vector<double>& other) {
  NumberReader reader(other);
  const double more = reader.next();
  const double all = rows_ + more;
  const double weight = rows_ * more / all;
  columns_.resize(reader.next_size());
  for (Column& own : columns_) {
    own.squared_error += reader.next();
    own.absolute_error += reader.next();
    const double truth = reader.next() - own.truth_mean;
    const double said = reader.next() - own.said_mean;
    own.truth_square += reader.next() + truth * truth * weight;
    own.said_square += reader.next() + said * said * weight;
    own.product += reader.next() + truth * said * weight;
    own.truth_mean += truth * more / all;
    own.said_mean += said * more / all;
  }
  rows_ = all;
}

std::vector<double> RankedNumbers::counted() const {
  if (truth_.empty()) return {};
  std::vector<double> numbers = {static_cast<double>(truth_.size()),
                                 static_cast<double>(truth_.front().size())};
  for (const auto* all : {&truth_, &said_}) {
    for (const auto& column : *all) append(numbers, column);
  }
  return numbers;
}

void RankedNumbers::count_in(const std::vector<double>& other) {
  NumberReader reader(other);
  const std::size_t columns = reader.next_size();
  const std::size_t rows = reader.next_size();
  for (auto* all : {&truth_, &said_}) {
    all->resize(columns);
    for (auto& column : *all) {
      for (std::size_t row = 0; row < rows; ++row) column.push_back(reader.next());
    }
  }
}

}  // namespace tenon
