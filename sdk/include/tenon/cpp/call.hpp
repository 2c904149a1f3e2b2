// One call of a layer: its inputs, its base, its active adapters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "tenon/cpp/setup.hpp"
#include "tenon/cpp/tensor.hpp"

namespace tenon __attribute__((visibility("hidden"))) {

  // What a layer returns: one tensor, or as many as the base has outputs.
  class Outputs {
   public:
    Outputs(Tensor tensor) : first_(std::move(tensor)), size_(1) {}
    explicit Outputs(std::vector<Tensor> tensors) : size_(tensors.size()) {
      if (tensors.empty()) return;
      first_ = std::move(tensors.front());
      rest_.assign(std::make_move_iterator(tensors.begin() + 1),
                   std::make_move_iterator(tensors.end()));
    }

    std::size_t size() const { return size_; }
    Tensor& operator[](std::size_t i) { return i == 0 ? first_ : rest_[i - 1]; }
    const Tensor& operator[](std::size_t i) const { return i == 0 ? first_ : rest_[i - 1]; }

   private:
    Tensor first_;  // nearly always the only one: no allocation for it
    std::vector<Tensor> rest_;
    std::size_t size_;
  };

  // One active adapter of the layer.
  class Adapter {
   public:
    explicit Adapter(const tenon_adapter& adapter) : adapter_(&adapter) {}

    std::string_view name() const { return adapter_->name; }
    double scaling() const { return adapter_->scaling; }  // as the method says
    // In the order of Setup::parameter.
    Tensor parameter(std::uint32_t i) const { return Tensor::borrowed(adapter_->params[i]); }
    // The rows of the input that it works on, as int64 numbers; an empty tensor is all. Others than
    // all are only given to layers with TENON_LAYER_ROWS among their flags.
    Tensor rows() const { return Tensor::borrowed(adapter_->rows); }
    // What the layer's `prepare` returned.
    template <typename State>
    const State& state() const {
      return *static_cast<const State*>(adapter_->state);
    }

   private:
    const tenon_adapter* adapter_;
  };

  // A base weight to be replaced for one run of the base.
  using Replaced = std::pair<Weight, Tensor>;

  class Call {
   public:
    Call(const tenon_base& base, const tenon_call& call) : facts_(base), call_(call) {}

    const Base& base_info() const { return facts_; }
    bool training() const { return (call_.flags & TENON_CALL_TRAINING) != 0; }
    bool grad_enabled() const { return (call_.flags & TENON_CALL_GRAD_ENABLED) != 0; }

    std::uint32_t n_inputs() const { return call_.n_inputs; }
    Tensor input(std::uint32_t i = 0) const { return Tensor::borrowed(call_.inputs[i]); }
    std::vector<Tensor> inputs() const {
      std::vector<Tensor> out;
      for (std::uint32_t i = 0; i < call_.n_inputs; ++i) out.push_back(input(i));
      return out;
    }
    Tensor weight(std::uint32_t i) const { return Tensor::borrowed(call_.weights[i]); }
    Tensor weight(const Weight& weight_info) const { return weight(weight_info.index); }
    // Throws TENON_UNSUPPORTED if the base has no weight of that name.
    Tensor weight(std::string_view name) const { return weight(facts_.weight_index(name)); }

    std::uint32_t n_adapters() const { return call_.n_adapters; }
    Adapter adapter(std::uint32_t i) const { return Adapter(*call_.adapters[i]); }
    std::vector<Adapter> adapters() const {
      std::vector<Adapter> out;
      for (std::uint32_t i = 0; i < call_.n_adapters; ++i) out.push_back(adapter(i));
      return out;
    }

    // The frozen base on the call's own inputs.
    Outputs base() const { return run(nullptr, 0, {}); }
    // The frozen base on other inputs, or with some of its weights replaced.
    Outputs base(const std::vector<Tensor>& inputs,
                 const std::vector<Replaced>& replaced = {}) const {
      std::vector<tenon_tensor> handles;
      for (const Tensor& tensor : inputs) handles.push_back(tensor.handle());
      return run(handles.data(), static_cast<std::uint32_t>(handles.size()), replaced);
    }

   private:
    Outputs run(const tenon_tensor* inputs, std::uint32_t n_inputs,
                const std::vector<Replaced>& replaced) const {
      std::vector<std::uint32_t> numbers;
      std::vector<tenon_tensor> replacements;
      for (const auto& [info, tensor] : replaced) {
        numbers.push_back(info.index);
        replacements.push_back(tensor.handle());
      }
      const auto run_base = [&](tenon_tensor* outputs) {
        detail::check(detail::host->run_base(call_.context, inputs, n_inputs, numbers.data(),
                                             replacements.data(),
                                             static_cast<std::uint32_t>(numbers.size()), outputs,
                                             nullptr, call_.n_outputs, detail::error_sink));
      };
      if (call_.n_outputs == 1) {
        tenon_tensor output = nullptr;
        run_base(&output);
        return Tensor::owned(output);
      }
      std::vector<tenon_tensor> raw(call_.n_outputs);
      run_base(raw.data());
      std::vector<Tensor> outputs;
      for (const tenon_tensor handle : raw) outputs.push_back(Tensor::owned(handle));
      return Outputs(std::move(outputs));
    }

    Base facts_;
    const tenon_call& call_;
  };

}  // namespace tenon
