// From an author's struct to the C table of one loss (tenon/draft/losses.h):
//
//   struct Focal : tenon::Loss<Focal> {
//     static constexpr tenon::loss_type kLoss{.name = "acme.focal",
//                                             .judged = TENON_JUDGED_CLASSES};
//     static constexpr tenon_option kOptions[] = {tenon::option::number("gamma", ...)};  //
//     optional static void validate(const tenon::LossOptions& options); // optional static
//     tenon::Tensor loss(const tenon::LossBatch& batch);
//   };
#pragma once

#include <cstdint>

#include "tenon/cpp/fence.hpp"
#include "tenon/cpp/names.hpp"
#include "tenon/cpp/options.hpp"
#include "tenon/cpp/setup.hpp"
#include "tenon/draft/losses.h"

namespace tenon __attribute__((visibility("hidden"))) {

  // The facts of a loss; see tenon_loss for each.
  struct loss_type {
    const char* name;
    tenon_judged judged = TENON_JUDGED_ANY;
    const char* doc = "";
  };

  // What the config says of a loss or a metric.
  class LossOptions {
   public:
    explicit LossOptions(const tenon_setup* setup) : setup_(setup) {}
    template <typename T>
    T option(const char* key) const {
      tenon_value value{};
      detail::check(detail::host->option(setup_, key, &value, detail::error_sink));
      return detail::from_value<T>(value, key);
    }

   private:
    const tenon_setup* setup_;
  };

  class LossBatch : public LossOptions {
   public:
    explicit LossBatch(const tenon_loss_batch& batch) : LossOptions(batch.setup), batch_(batch) {}

    Tensor prediction() const { return Tensor::borrowed(batch_.prediction); }
    Tensor target() const { return Tensor::borrowed(batch_.target); }    // may be empty
    Tensor weights() const { return Tensor::borrowed(batch_.weights); }  // empty: all count alike
    std::uint32_t n_outputs() const { return batch_.n_outputs; }
    Tensor output(std::uint32_t i) const {
      if (i >= batch_.n_outputs) {
        throw Failure(TENON_INVALID_ARGUMENT, "the model has " + std::to_string(batch_.n_outputs) +
                                                  " outputs, no output_" + std::to_string(i));
      }
      return Tensor::borrowed(batch_.outputs[i]);
    }

   private:
    const tenon_loss_batch& batch_;
  };

  template <typename T>
  struct Loss {
    using Tensor = tenon::Tensor;
  };

  namespace detail {

  template <typename T>
  concept IsLoss = requires {
    T::kLoss;
  };
  template <typename T>
  concept HasLossOptions = requires {
    T::kOptions;
  };
  template <typename T>
  concept ValidatesLoss = requires(const LossOptions& options) {
    T::validate(options);
  };

  template <typename T>
  tenon_status TENON_ABI validate_loss(const tenon_loss*, const tenon_host*,
                                       const tenon_setup* setup, tenon_error* error) {
    return fence(T::kLoss.name, "validate", error, [&] { T::validate(LossOptions(setup)); });
  }

  template <typename T>
  tenon_status TENON_ABI loss_of(const tenon_loss*, const tenon_host*,
                                 const tenon_loss_batch* batch, tenon_tensor* loss,
                                 tenon_error* error) {
    return fence(T::kLoss.name, "loss", error,
                 [&] { *loss = Tensor(T::loss(LossBatch(*batch))).give(); });
  }

  template <typename T>
  constexpr tenon_loss make_loss() {
    static_assert(names::is_id(T::kLoss.name),
                  "a loss's .name is lower case letters and digits, joined by . - or _, with one "
                  "dot at least: acme.focal");
    tenon_loss table{};
    table.struct_size = sizeof table;
    table.judged = T::kLoss.judged;
    table.name = T::kLoss.name;
    table.doc = T::kLoss.doc;
    if constexpr (HasLossOptions<T>) {
      table.options = kOptionTable<T::kOptions>.data();
      table.n_options = kOptionTable<T::kOptions>.size();
    }
    if constexpr (ValidatesLoss<T>) table.validate = validate_loss<T>;
    table.loss = loss_of<T>;
    return table;
  }

  }  // namespace detail
}  // namespace tenon
