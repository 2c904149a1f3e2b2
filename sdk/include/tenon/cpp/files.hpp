// A method whose adapters are written otherwise than they are trained (tenon/draft/files.h):
//   static void save(const tenon::SavedLayers& layers, tenon::File& file);
#pragma once

#include <cstdint>
#include <string>

#include "tenon/cpp/fence.hpp"
#include "tenon/cpp/operator.hpp"
#include "tenon/cpp/training.hpp"
#include "tenon/draft/files.h"

namespace tenon __attribute__((visibility("hidden"))) {

  // The layers of an adapter that is about to be written.
  class SavedLayers {
   public:
    SavedLayers(const tenon_training_layer* const* layers, std::uint32_t n)
        : layers_(layers), n_(n) {}
    std::uint32_t size() const { return n_; }
    TrainingLayer operator[](std::uint32_t i) const { return TrainingLayer(*layers_[i]); }

   private:
    const tenon_training_layer* const* layers_;
    std::uint32_t n_;
  };

  class File {
   public:
    explicit File(tenon_file* file) : file_(file) {}

    // A key of the method as the file is to have it, or a table of patterns beside one.
    void set_key(const char* key, const Value& value) {
      detail::check(host().set_key(file_, key, &value, detail::error_sink));
    }
    // A parameter of a layer as the file is to have it.
    void set_parameter(std::uint32_t layer, std::uint32_t parameter, const Tensor& tensor) {
      detail::check(
          host().set_parameter(file_, layer, parameter, tensor.handle(), detail::error_sink));
    }

   private:
    static const tenon_files_host& host() {
      const auto* found =
          static_cast<const tenon_files_host*>(detail::host->extension(TENON_FILES));
      if (found == nullptr) throw Failure(TENON_WRONG_VERSION, "the host has no " TENON_FILES);
      return *found;
    }

    tenon_file* file_;
  };

  namespace detail {

  template <typename T>
  concept HasSave = requires(const SavedLayers& layers, File& file) {
    T::save(layers, file);
  };

  template <typename T>
  struct Files {
    static constexpr bool kPresent = HasSave<T>;
    static constexpr const char* kId = TENON_FILES;

    static tenon_status TENON_ABI save(const tenon_method*, const tenon_host*,
                                       const tenon_training_layer* const* layers, std::uint32_t n,
                                       tenon_file* file, tenon_error* error) {
      return fence(T::kMethod.name, "save", error, [&] {
        File view(file);
        T::save(SavedLayers(layers, n), view);
      });
    }

    static const void* table() {
      static constexpr tenon_files kTable{sizeof(tenon_files), 0, save};
      return &kTable;
    }
  };

  }  // namespace detail
}  // namespace tenon
