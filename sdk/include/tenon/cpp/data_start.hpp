// A method whose adapters may start from batches of the training data (tenon/draft/data_start.h):
//
//   struct Lora : tenon::Method<Lora> {
//     static tenon_data_needs data_needs(const tenon::DataKeys& keys);
//     static std::unique_ptr<tenon::DataStart> data_start(const tenon::DataRun& run);
//   };
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tenon/cpp/fence.hpp"
#include "tenon/cpp/operator.hpp"
#include "tenon/cpp/setup.hpp"
#include "tenon/draft/data_start.h"

namespace tenon __attribute__((visibility("hidden"))) {

  // The method's keys as the config has them, for no layer.
  class DataKeys {
   public:
    explicit DataKeys(const tenon_setup* setup) : setup_(setup) {}

    template <typename T>
    T option(const char* key) const {
      return detail::from_value<T>(value(key), key);
    }
    tenon_value_tag option_tag(const char* key) const { return value(key).tag; }
    Table table(const char* key) const { return Table(value(key)); }

   private:
    tenon_value value(const char* key) const {
      tenon_value found{};
      detail::check(detail::host->option(setup_, key, &found, detail::error_sink));
      return found;
    }

    const tenon_setup* setup_;
  };

  // One layer that the adapter is planned for.
  class DataLayer {
   public:
    explicit DataLayer(const tenon_data_layer& layer)
        : layer_(layer), setup_(detail::looking_at(*layer.base, layer.setup)) {}

    // Its base, and the method's keys as they hold for it.
    const Setup& setup() const { return setup_; }
    const Base& base() const { return setup_.base(); }
    std::string_view layer_type() const { return layer_.layer_type; }
    double scaling() const { return layer_.scaling; }
    Tensor weight(std::uint32_t i) const { return Tensor::borrowed(layer_.weights[i]); }
    // Throws TENON_UNSUPPORTED if the base has no weight of that name.
    Tensor weight(std::string_view name) const { return weight(base().weight_index(name)); }

   private:
    const tenon_data_layer& layer_;
    Setup setup_;
  };

  class DataRun {
   public:
    explicit DataRun(const tenon_data_run& run) : run_(run) {}

    std::uint32_t n_layers() const { return run_.n_layers; }
    DataLayer layer(std::uint32_t i) const { return DataLayer(*run_.layers[i]); }
    DataKeys keys() const { return DataKeys(run_.setup); }
    std::int64_t batches_per_epoch() const { return run_.batches_per_epoch; }
    // The largest dimension of any parameter of the base.
    std::int64_t largest_size() const { return run_.largest_size; }

   private:
    const tenon_data_run& run_;
  };

  // One call of one layer.
  class Observed {
   public:
    explicit Observed(const tenon_observed& call) : call_(call) {}

    std::uint32_t layer() const { return call_.layer; }
    std::int64_t batch() const { return call_.batch; }  // from 0
    std::uint32_t n_inputs() const { return call_.n_inputs; }
    std::uint32_t n_outputs() const { return call_.n_outputs; }
    Tensor input(std::uint32_t i = 0) const { return Tensor::borrowed(call_.inputs[i]); }
    Tensor output(std::uint32_t i = 0) const { return Tensor::borrowed(call_.outputs[i]); }
    // Of the loss in an output, with TENON_NEEDS_GRADIENTS; empty where it does not reach.
    Tensor output_gradient(std::uint32_t i = 0) const {
      if (call_.output_gradients == nullptr) return {};
      return Tensor::borrowed(call_.output_gradients[i]);
    }
    // Bool (rows, length); empty: all positions count.
    Tensor positions() const { return Tensor::borrowed(call_.positions); }
    Tensor target() const { return Tensor::borrowed(call_.target); }  // may be empty

   private:
    const tenon_observed& call_;
  };

  // How the adapter is to start; layers by their number in the run.
  class Started {
   public:
    explicit Started(tenon_started* started) : started_(started) {}

    // `name`: as in a file, "lora_A.weight".
    void set_parameter(std::uint32_t layer, const char* name, const Tensor& tensor) {
      detail::check(
          host().set_parameter(started_, layer, name, tensor.handle(), detail::error_sink));
    }
    // The base's weight under this adapter.
    void set_weight(std::uint32_t layer, std::uint32_t weight, const Tensor& tensor) {
      detail::check(
          host().set_weight(started_, layer, weight, tensor.handle(), detail::error_sink));
    }
    // A key that has a table of patterns beside it.
    void set_key(std::uint32_t layer, const char* key, const Value& value) {
      detail::check(host().set_key(started_, layer, key, &value, detail::error_sink));
    }
    void leave_out(std::uint32_t layer) {
      detail::check(host().leave_out(started_, layer, detail::error_sink));
    }
    void note(const std::string& text) {
      detail::check(host().note(started_, text.c_str(), detail::error_sink));
    }

   private:
    static const tenon_data_start_host& host() {
      const auto* found =
          static_cast<const tenon_data_start_host*>(detail::host->extension(TENON_DATA_START));
      if (found == nullptr) throw Failure(TENON_WRONG_VERSION, "the host has no " TENON_DATA_START);
      return *found;
    }

    tenon_started* started_;
  };

  // What a method counts in while it observes. May hold tensors.
  class DataStart {
   public:
    DataStart() = default;
    DataStart(const DataStart&) = delete;
    DataStart& operator=(const DataStart&) = delete;
    virtual ~DataStart() = default;

    virtual void observe(const DataRun& run, const Observed& call) = 0;
    // Whether it has seen enough.
    virtual bool after_batch(const DataRun& run) = 0;
    virtual void finish(const DataRun& run, Started& started) = 0;
  };

  namespace detail {

  template <typename T>
  concept HasDataStart = requires(const DataKeys& keys, const DataRun& run) {
    T::data_needs(keys);
    T::data_start(run);
  };

  template <typename T>
  struct FromData {
    static constexpr bool kPresent = HasDataStart<T>;
    static constexpr const char* kId = TENON_DATA_START;

    static tenon_status TENON_ABI needs(const tenon_method*, const tenon_host*,
                                        const tenon_setup* setup, tenon_data_needs* out,
                                        tenon_error* error) {
      return fence(T::kMethod.name, "data_needs", error,
                   [&] { *out = T::data_needs(DataKeys(setup)); });
    }
    static tenon_status TENON_ABI begin(const tenon_method*, const tenon_host*,
                                        const tenon_data_run* run, void** state,
                                        tenon_error* error) {
      return fence(T::kMethod.name, "data_start", error, [&] {
        std::unique_ptr<DataStart> made = T::data_start(DataRun(*run));
        if (!made) throw Failure(TENON_INTERNAL, "data_start made nothing");
        *state = made.release();
      });
    }
    static tenon_status TENON_ABI observe(const tenon_method*, const tenon_host*,
                                          const tenon_data_run* run, const tenon_observed* call,
                                          void* state, tenon_error* error) {
      return fence(T::kMethod.name, "observe", error, [&] {
        static_cast<DataStart*>(state)->observe(DataRun(*run), Observed(*call));
      });
    }
    static tenon_status TENON_ABI after_batch(const tenon_method*, const tenon_host*,
                                              const tenon_data_run* run, void* state,
                                              std::uint32_t* done, tenon_error* error) {
      return fence(T::kMethod.name, "after_batch", error, [&] {
        *done = static_cast<DataStart*>(state)->after_batch(DataRun(*run)) ? 1 : 0;
      });
    }
    static tenon_status TENON_ABI finish(const tenon_method*, const tenon_host*,
                                         const tenon_data_run* run, void* state,
                                         tenon_started* started, tenon_error* error) {
      return fence(T::kMethod.name, "finish", error, [&] {
        Started view(started);
        static_cast<DataStart*>(state)->finish(DataRun(*run), view);
      });
    }
    static void TENON_ABI release(const tenon_method*, const tenon_host*, void* state) {
      delete static_cast<DataStart*>(state);
    }

    static const void* table() {
      static constexpr tenon_data_start kTable{
          sizeof(tenon_data_start), 0, needs, begin, observe, after_batch, finish, release};
      return &kTable;
    }
  };

  }  // namespace detail
}  // namespace tenon
