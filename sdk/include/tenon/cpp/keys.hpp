// Rules among the keys of a method (tenon/draft/keys.h):
//   static void settle(tenon::Keys& keys);
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tenon/cpp/fence.hpp"
#include "tenon/cpp/operator.hpp"
#include "tenon/cpp/setup.hpp"
#include "tenon/draft/keys.h"

namespace tenon __attribute__((visibility("hidden"))) {

  // The keys of one adapter, each as declared.
  class Keys {
   public:
    Keys(const tenon_setup* values, tenon_keys* keys, bool saved)
        : values_(values), keys_(keys), saved_(saved) {}

    // Whether they are those of a saved adapter.
    bool are_saved() const { return saved_; }

    template <typename T>
    T option(const char* key) const {
      return detail::from_value<T>(value(key), key);
    }
    tenon_value_tag option_tag(const char* key) const { return value(key).tag; }
    Table table(const char* key) const { return Table(value(key)); }

    // The text goes on behind the key's name: "must not be 0".
    void refuse(const char* key, const std::string& text) {
      detail::check(host().refuse(keys_, key, text.c_str(), detail::error_sink));
    }
    // Of a word that is none of these: the host asks whether one that it resembles was meant.
    void refuse(const char* key, const std::string& text, const std::string& word,
                std::span<const char* const> known) {
      detail::check(host().refuse_word(keys_, key, text.c_str(), word.c_str(), known.data(),
                                       static_cast<std::uint32_t>(known.size()),
                                       detail::error_sink));
    }
    void set(const char* key, const Value& value) {
      detail::check(host().set(keys_, key, &value, detail::error_sink));
    }

   private:
    static const tenon_keys_host& host() {
      const auto* found = static_cast<const tenon_keys_host*>(detail::host->extension(TENON_KEYS));
      if (found == nullptr) throw Failure(TENON_WRONG_VERSION, "the host has no " TENON_KEYS);
      return *found;
    }
    tenon_value value(const char* key) const {
      tenon_value found{};
      detail::check(detail::host->option(values_, key, &found, detail::error_sink));
      return found;
    }

    const tenon_setup* values_;
    tenon_keys* keys_;
    bool saved_;
  };

  namespace detail {

  template <typename T>
  concept HasSettle = requires(Keys& keys) {
    T::settle(keys);
  };

  template <typename T>
  struct KeyRules {
    static constexpr bool kPresent = HasSettle<T>;
    static constexpr const char* kId = TENON_KEYS;

    static tenon_status TENON_ABI settle(const tenon_method*, const tenon_host*,
                                         const tenon_setup* values, tenon_keys* keys,
                                         std::uint32_t saved, tenon_error* error) {
      return fence(T::kMethod.name, "settle", error, [&] {
        Keys view(values, keys, saved != 0);
        T::settle(view);
      });
    }

    static const void* table() {
      static constexpr tenon_keys_rules kTable{sizeof(tenon_keys_rules), 0, settle};
      return &kTable;
    }
  };

  }  // namespace detail
}  // namespace tenon
