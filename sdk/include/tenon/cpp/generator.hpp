// A source of random numbers of the plugin's own (tenon/draft/generators.h):
//   const tenon::Generator generator(seed);
//   uniform(x, -bound, bound, generator.get());
#pragma once

#include <cstdint>

#include "tenon/cpp/tensor.hpp"
#include "tenon/draft/generators.h"

namespace tenon __attribute__((visibility("hidden"))) {

  // Gives what torch.Generator("cpu").manual_seed(seed) gives.
  class Generator {
   public:
    explicit Generator(std::uint64_t seed) {
      detail::check(table().make(seed, &generator_, detail::error_sink));
    }
    ~Generator() { table().release(generator_); }
    Generator(const Generator&) = delete;
    Generator& operator=(const Generator&) = delete;

    tenon_generator* get() const { return generator_; }

   private:
    static const tenon_generators& table() {
      const auto* found =
          static_cast<const tenon_generators*>(detail::host->extension(TENON_GENERATORS));
      if (found == nullptr) {
        throw Failure(TENON_WRONG_VERSION, "the host has no " TENON_GENERATORS);
      }
      return *found;
    }

    tenon_generator* generator_ = nullptr;
  };

}  // namespace tenon
