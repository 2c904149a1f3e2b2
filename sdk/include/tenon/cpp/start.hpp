// How an adapter starts where its parameters depend on the base's weights.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "tenon/cpp/setup.hpp"
#include "tenon/cpp/tensor.hpp"
#include "tenon/layer_type.h"

namespace tenon __attribute__((visibility("hidden"))) {

  class Start {
   public:
    Start(const tenon_base& base, const tenon_start& start)
        : base_(base), start_(start), parameters_(start.n_params), weights_(start.n_weights) {}

    Tensor weight(std::uint32_t i) const { return Tensor::borrowed(start_.weights[i]); }
    // Throws TENON_UNSUPPORTED if the base has no weight of that name.
    Tensor weight(std::string_view name) const { return weight(base_.weight_index(name)); }
    // As its declared Init left it; in the order of Setup::parameter.
    Tensor parameter(std::uint32_t i) const { return Tensor::borrowed(start_.params[i]); }
    double scaling() const { return start_.scaling; }
    // The seeded source of random numbers: an argument for operators that draw.
    tenon_generator* generator() const { return start_.generator; }
    // What the layer's `prepare` returned.
    template <typename State>
    const State& state() const {
      return *static_cast<const State*>(start_.state);
    }

    // The host copies the values into the parameter.
    void set_parameter(std::uint32_t i, Tensor values) { parameters_.at(i) = std::move(values); }
    // The base's weight wherever this adapter is active; the model's own does not change.
    void set_weight(std::uint32_t i, Tensor residual) { weights_.at(i) = std::move(residual); }
    void set_weight(std::string_view name, Tensor residual) {
      set_weight(base_.weight_index(name), std::move(residual));
    }

    // Hands all that was set to the host. All are owned before the first is written, so that a
    // failure leaves nothing behind.
    void give() {
      for (auto* tensors : {&parameters_, &weights_}) {
        for (Tensor& tensor : *tensors) {
          if (tensor) tensor = Tensor::owned(std::move(tensor).give());
        }
      }
      for (std::size_t i = 0; i < parameters_.size(); ++i) {
        start_.params_owned[i] = std::move(parameters_[i]).give();
      }
      for (std::size_t i = 0; i < weights_.size(); ++i) {
        start_.weights_owned[i] = std::move(weights_[i]).give();
      }
    }

   private:
    Base base_;
    const tenon_start& start_;
    std::vector<Tensor> parameters_;
    std::vector<Tensor> weights_;
  };

}  // namespace tenon
