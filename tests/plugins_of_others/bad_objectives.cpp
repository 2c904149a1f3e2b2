// Losses and metrics with one fault each, and one of each that has none: what the check must tell.
#include <cstdlib>
#include <tenon/sdk.hpp>

namespace {

using tenon::Operator;
using tenon::Tensor;

Tensor mean(const Tensor& each) {
  static const Operator op("aten::mean");
  return op(each);
}
Tensor sum(const Tensor& each) {
  static const Operator op("aten::sum");
  return op(each);
}

// The mean of squares, row by row.
Tensor squares(const tenon::LossBatch& batch) {
  static const Operator row_mean("aten::mean", "dim");
  const Tensor apart = batch.prediction() - batch.target();
  return row_mean(apart * apart, tenon::Shape{1});
}
Tensor weighted(const tenon::LossBatch& batch, const Tensor& each) {
  const Tensor weights = batch.weights();
  return weights ? sum(each * weights) / sum(weights) : mean(each);
}

template <typename T>
struct OfNumbers : tenon::Loss<T> {
  static constexpr tenon::loss_type facts(const char* name) {
    return {.name = name, .judged = TENON_JUDGED_NUMBERS};
  }
};

struct Sound : OfNumbers<Sound> {
  static constexpr auto kLoss = facts("acme.sound");
  static Tensor loss(const tenon::LossBatch& batch) { return weighted(batch, squares(batch)); }
};
struct Rows : OfNumbers<Rows> {
  static constexpr auto kLoss = facts("acme.rows");
  static Tensor loss(const tenon::LossBatch& batch) { return squares(batch); }
};
struct Detached : OfNumbers<Detached> {
  static constexpr auto kLoss = facts("acme.detached");
  static Tensor loss(const tenon::LossBatch& batch) {
    static const Operator detach("aten::detach");
    const Tensor each = squares(batch);
    return weighted(batch, each + detach(each));
  }
};
struct Summed : OfNumbers<Summed> {
  static constexpr auto kLoss = facts("acme.summed");
  static Tensor loss(const tenon::LossBatch& batch) { return sum(squares(batch)); }
};
struct Unweighted : OfNumbers<Unweighted> {
  static constexpr auto kLoss = facts("acme.unweighted");
  static Tensor loss(const tenon::LossBatch& batch) { return mean(squares(batch)); }
};
struct Counting : OfNumbers<Counting> {
  static constexpr auto kLoss = facts("acme.counting");
  static Tensor loss(const tenon::LossBatch& batch) {
    static double calls = 0;
    calls += 1;
    return weighted(batch, squares(batch)) * calls;
  }
};
struct Exiting : OfNumbers<Exiting> {
  static constexpr auto kLoss = facts("acme.exiting");
  static Tensor loss(const tenon::LossBatch&) { std::exit(0); }
};

// The sum of what was said, in a place of its own or of all.
template <typename T>
struct Total : tenon::Metric<T> {
  static constexpr tenon::metric_type facts(const char* name) {
    return {.name = name, .judged = TENON_JUDGED_NUMBERS};
  }
  explicit Total(const tenon::LossOptions&) {}
  void add(const Tensor& said, const Tensor&) { total += tenon::number_of<double>(sum(said)); }
  double value() const { return total; }
  double total = 0;
};
struct SoundTotal : Total<SoundTotal> {
  using Total::Total;
  static constexpr auto kMetric = facts("acme.total");
};
struct LastBatch : Total<LastBatch> {
  using Total::Total;
  static constexpr auto kMetric = facts("acme.last-batch");
  void add(const Tensor& said, const Tensor&) { total = tenon::number_of<double>(sum(said)); }
};
struct Shared : Total<Shared> {
  using Total::Total;
  static constexpr auto kMetric = facts("acme.shared");
  explicit Shared(const tenon::LossOptions& options) : Total(options) { all = 0; }
  void add(const Tensor& said, const Tensor&) { all += tenon::number_of<double>(sum(said)); }
  double value() const { return all; }
  static inline double all = 0;
};

}  // namespace

TENON_PLUGIN("acme.objectives", "1.0.0", Sound, Rows, Detached, Summed, Unweighted, Counting,
             Exiting, SoundTotal, LastBatch, Shared)
