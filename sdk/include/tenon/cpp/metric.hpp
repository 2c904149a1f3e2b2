// From an author's struct to the C table of one metric (tenon/draft/metrics.h). An object of it is
// what one evaluation counts in:
//
//   struct Hits : tenon::Metric<Hits> {
//     static constexpr tenon::metric_type kMetric{.name = "acme.hits",
//                                                 .judged = TENON_JUDGED_CLASSES};
//     static constexpr tenon_option kOptions[] = {...};  // optional
//     explicit Hits(const tenon::LossOptions& options);
//     void add(const tenon::Tensor& prediction, const tenon::Tensor& target);
//     double value() const;
//   };
#pragma once

#include "tenon/cpp/loss.hpp"
#include "tenon/draft/metrics.h"

namespace tenon __attribute__((visibility("hidden"))) {

  // The facts of a metric; see tenon_metric for each.
  struct metric_type {
    const char* name;
    tenon_judged judged;
    const char* doc = "";
    bool greater_is_better = true;
  };

  template <typename T>
  struct Metric {
    using Tensor = tenon::Tensor;
  };

  namespace detail {

  template <typename T>
  concept IsMetric = requires {
    T::kMetric;
  };

  template <typename T>
  struct MetricTable {
    static tenon_status TENON_ABI start(const tenon_metric*, const tenon_host*,
                                        const tenon_setup* setup, void** state,
                                        tenon_error* error) {
      return fence(T::kMetric.name, "start", error, [&] { *state = new T(LossOptions(setup)); });
    }
    static tenon_status TENON_ABI add(const tenon_metric*, const tenon_host*, void* state,
                                      tenon_tensor prediction, tenon_tensor target,
                                      tenon_error* error) {
      return fence(T::kMetric.name, "add", error, [&] {
        static_cast<T*>(state)->add(Tensor::borrowed(prediction), Tensor::borrowed(target));
      });
    }
    static tenon_status TENON_ABI value(const tenon_metric*, const tenon_host*, void* state,
                                        double* out, tenon_error* error) {
      return fence(T::kMetric.name, "value", error,
                   [&] { *out = static_cast<T*>(state)->value(); });
    }
    static void TENON_ABI release(const tenon_metric*, const tenon_host*, void* state) {
      delete static_cast<T*>(state);
    }
  };

  template <typename T>
  constexpr tenon_metric make_metric() {
    static_assert(names::is_id(T::kMetric.name),
                  "a metric's .name is lower case letters and digits, joined by . - or _, with one "
                  "dot at least: acme.hits");
    tenon_metric table{};
    table.struct_size = sizeof table;
    table.flags = T::kMetric.greater_is_better ? TENON_METRIC_GREATER_IS_BETTER : 0;
    table.judged = T::kMetric.judged;
    table.name = T::kMetric.name;
    table.doc = T::kMetric.doc;
    if constexpr (HasLossOptions<T>) {
      table.options = kOptionTable<T::kOptions>.data();
      table.n_options = kOptionTable<T::kOptions>.size();
    }
    table.start = MetricTable<T>::start;
    table.add = MetricTable<T>::add;
    table.value = MetricTable<T>::value;
    table.release = MetricTable<T>::release;
    return table;
  }

  }  // namespace detail
}  // namespace tenon
