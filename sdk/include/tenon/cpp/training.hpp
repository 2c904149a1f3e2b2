// A method that takes part in training (tenon/draft/training.h):
//
//   struct AdaLora : tenon::Method<AdaLora> {
//     static void before_step(tenon::TrainingRun& run);     // optional, as the others
//     static void after_step(tenon::TrainingRun& run);
//     static tenon::Tensor regularise(tenon::TrainingRun& run);  // {} for nothing
//   };
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "tenon/cpp/fence.hpp"
#include "tenon/cpp/setup.hpp"
#include "tenon/cpp/tensor.hpp"
#include "tenon/draft/training.h"

namespace tenon __attribute__((visibility("hidden"))) {

  // One layer of the adapter that is trained.
  class TrainingLayer {
   public:
    explicit TrainingLayer(const tenon_training_layer& layer)
        : layer_(layer), setup_(detail::looking_at(*layer.base, layer.setup)) {}

    // Its base, and the method's keys as they hold for it.
    const Setup& setup() const { return setup_; }
    const Base& base() const { return setup_.base(); }
    std::string_view layer_type() const { return layer_.layer_type; }
    double scaling() const { return layer_.scaling; }
    std::uint32_t n_parameters() const { return layer_.n_params; }
    // In the order of Setup::parameter, buffers among them. To be written to in place, in
    // after_step.
    Tensor parameter(std::uint32_t i) const { return Tensor::borrowed(layer_.params[i]); }
    std::string_view name(std::uint32_t i) const { return layer_.names[i]; }
    // Empty where there is none. To be written to in place, in before_step.
    Tensor gradient(std::uint32_t i) const { return Tensor::borrowed(layer_.gradients[i]); }
    // What the layer's `prepare` returned.
    template <typename State>
    const State& state() const {
      return *static_cast<const State*>(layer_.state);
    }

   private:
    const tenon_training_layer& layer_;
    Setup setup_;
  };

  class TrainingRun {
   public:
    explicit TrainingRun(const tenon_training_run& run) : run_(run) {}

    std::int64_t step() const { return run_.step; }  // from 1
    std::int64_t total_steps() const { return run_.total_steps; }
    std::string_view adapter() const { return run_.adapter; }
    std::uint32_t n_layers() const { return run_.n_layers; }
    TrainingLayer layer(std::uint32_t i) const { return TrainingLayer(*run_.layers[i]); }

    // Tensors that outlast the step, and are saved in checkpoints.
    void keep(const std::string& name, const Tensor& tensor) {
      detail::check(host().keep(run_.store, name.c_str(), tensor.handle(), detail::error_sink));
    }
    // Empty if nothing is kept under the name.
    Tensor kept(const std::string& name) const {
      tenon_tensor owned = nullptr;
      detail::check(host().kept(run_.store, name.c_str(), &owned, detail::error_sink));
      return Tensor::owned(owned);
    }

   private:
    static const tenon_training_host& host() {
      const auto* found =
          static_cast<const tenon_training_host*>(detail::host->extension(TENON_TRAINING));
      if (found == nullptr) throw Failure(TENON_WRONG_VERSION, "the host has no " TENON_TRAINING);
      return *found;
    }

    const tenon_training_run& run_;
  };

  namespace detail {

  template <typename T>
  concept HasBeforeStep = requires(TrainingRun& run) {
    T::before_step(run);
  };
  template <typename T>
  concept HasAfterStep = requires(TrainingRun& run) {
    T::after_step(run);
  };
  template <typename T>
  concept HasRegularise = requires(TrainingRun& run) {
    T::regularise(run);
  };

  template <typename T>
  struct Training {
    static constexpr bool kPresent = HasBeforeStep<T> || HasAfterStep<T> || HasRegularise<T>;
    static constexpr const char* kId = TENON_TRAINING;

    static tenon_status TENON_ABI before_step(const tenon_method*, const tenon_host*,
                                              const tenon_training_run* run, tenon_error* error) {
      return fence(T::kMethod.name, "before_step", error, [&] {
        TrainingRun view(*run);
        T::before_step(view);
      });
    }
    static tenon_status TENON_ABI after_step(const tenon_method*, const tenon_host*,
                                             const tenon_training_run* run, tenon_error* error) {
      return fence(T::kMethod.name, "after_step", error, [&] {
        TrainingRun view(*run);
        T::after_step(view);
      });
    }
    static tenon_status TENON_ABI regularise(const tenon_method*, const tenon_host*,
                                             const tenon_training_run* run, tenon_tensor* loss,
                                             tenon_error* error) {
      return fence(T::kMethod.name, "regularise", error, [&] {
        TrainingRun view(*run);
        *loss = Tensor(T::regularise(view)).give();
      });
    }

    static constexpr tenon_training make_table() {
      tenon_training table{};
      table.struct_size = sizeof table;
      if constexpr (HasBeforeStep<T>) table.before_step = before_step;
      if constexpr (HasAfterStep<T>) table.after_step = after_step;
      if constexpr (HasRegularise<T>) table.regularise = regularise;
      return table;
    }
    static const void* table() {
      static constexpr tenon_training kTable = make_table();
      return &kTable;
    }
  };

  }  // namespace detail
}  // namespace tenon
