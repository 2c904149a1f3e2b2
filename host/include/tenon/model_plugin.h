// A model of one's own as a plugin: a shared library that makes a torch::nn::Module by name and
// options, for `[model] plugin = "acme.mlp"`.
//
//   tenon::CallableModel make_mlp(const tenon::ModelOptions& options) {
//     auto mlp = std::make_shared<Mlp>(options.integer("hidden", 64));
//     return tenon::callable_model(mlp, {at::zeros({2, 20})});  // an example of its inputs
//   }
//   TENON_MODEL_PLUGIN("acme.models", "1.0.0", {"acme.mlp", make_mlp})
//
// Unlike other plugins it shares C++ objects with the host, so it must be built with the very
// LibTorch of the host; another one is refused before any of its code runs.
#pragma once

#include <tenon/callable_model.h>
#include <tenon/options.h>
#include <tenon/plugin.h>
#include <tenon/torch/cxx_abi.h>
#include <torch/version.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tenon {

// The table [model.options] of the config. Each option is read with the default that it has
// without; one that nobody reads is an error.
class ModelOptions {
 public:
  explicit ModelOptions(OptionTable options) : options_(std::move(options)) {}

  std::int64_t integer(const std::string& name, std::int64_t otherwise) const {
    return read(name, otherwise, "a whole number");
  }
  bool truth(const std::string& name, bool otherwise) const {
    return read(name, otherwise, "true or false");
  }
  std::string text(const std::string& name, std::string otherwise) const {
    return read(name, std::move(otherwise), "a string");
  }
  double number(const std::string& name, double otherwise) const {
    const auto found = options_.find(name);
    if (found != options_.end() && std::holds_alternative<std::int64_t>(found->second)) {
      return static_cast<double>(read<std::int64_t>(name, 0, "a number"));
    }
    return read(name, otherwise, "a number");
  }
  std::vector<std::int64_t> integers(const std::string& name,
                                     std::vector<std::int64_t> otherwise) const {
    return read(name, std::move(otherwise), "a list of whole numbers");
  }

  std::vector<std::string> unread() const {
    std::vector<std::string> names;
    for (const auto& [name, value] : options_) {
      if (read_.count(name) == 0) names.push_back(name);
    }
    return names;
  }
  const std::set<std::string>& known() const { return read_; }

 private:
  template <typename T>
  T read(const std::string& name, T otherwise, const char* wanted) const {
    read_.insert(name);
    const auto found = options_.find(name);
    if (found == options_.end()) return otherwise;
    if (const T* value = std::get_if<T>(&found->second)) return *value;
    throw std::invalid_argument("option `" + name + "` must be " + wanted);
  }

  OptionTable options_;
  mutable std::set<std::string> read_;
};

struct OfferedModel {
  const char* name;  // "acme.mlp"
  CallableModel (*make)(const ModelOptions& options);
};

struct ModelTable {
  const char* id;
  const char* version;
  const OfferedModel* models;
  std::size_t n_models;
};

namespace detail {

template <std::size_t N>
constexpr void copy_chars(char (&to)[N], std::string_view from) {
  for (std::size_t i = 0; i < from.size() && i + 1 < N; ++i) to[i] = from[i];
}

constexpr tenon_stamp model_stamp(std::string_view id, std::string_view version) {
  tenon_stamp stamp{};
  for (std::size_t i = 0; i < sizeof stamp.magic; ++i) stamp.magic[i] = TENON_STAMP_MAGIC[i];
  stamp.struct_size = sizeof(tenon_stamp);
  stamp.kind = TENON_STAMP_MODELS;
  stamp.abi_major = TENON_ABI_MAJOR;
  stamp.abi_minor = TENON_ABI_MINOR;
  stamp.min_host_minor = TENON_ABI_MINOR;
  stamp.pointer_bits = 8 * sizeof(void*);
  copy_chars(stamp.id, id);
  copy_chars(stamp.version, version);
  copy_chars(stamp.sdk_version, TENON_SDK_VERSION);
  copy_chars(stamp.torch_version, TORCH_VERSION);
  copy_chars(stamp.cxx_abi, TENON_CXX_ABI);
  return stamp;
}

}  // namespace detail
}  // namespace tenon

// TENON_MODEL_PLUGIN(id, version, {"acme.mlp", make_mlp}, ...), once in a library.
#define TENON_MODEL_PLUGIN(plugin_id, plugin_version, ...)                                      \
  static_assert(sizeof(plugin_id) <= sizeof(tenon_stamp::id), "the id is too long");            \
  namespace {                                                                                   \
  constexpr tenon::OfferedModel kTenonModels[] = {__VA_ARGS__};                                 \
  }                                                                                             \
  extern "C" {                                                                                  \
  extern TENON_EXPORT const tenon::ModelTable tenon_models_v1;                                  \
  constexpr tenon::ModelTable tenon_models_v1{plugin_id, plugin_version, kTenonModels,          \
                                              std::size(kTenonModels)};                         \
  constexpr tenon_stamp tenon_stamp_v1 = tenon::detail::model_stamp(plugin_id, plugin_version); \
  }
