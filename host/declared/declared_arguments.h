#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/run_config.h"

namespace tenon {

// The constructor's keyword arguments of a declared layer, each read once; what is left over is an
// error. Every failure is an Error{kConfig} that names the layer.
class DeclaredArguments {
 public:
  explicit DeclaredArguments(const DeclaredLayer& layer) : layer_(layer) {}

  std::int64_t integer(const std::string& name);
  std::int64_t integer(const std::string& name, std::int64_t otherwise);
  // At least 1.
  std::int64_t size(const std::string& name);
  bool truth(const std::string& name, bool otherwise);
  double real(const std::string& name, double otherwise);
  std::string text(const std::string& name, const std::string& otherwise);
  std::string choice(const std::string& name, const std::string& otherwise,
                     const std::vector<std::string>& choices);
  bool is_text(const std::string& name) const;
  bool has(const std::string& name);
  // One number or `count` of them; any number of them if `count` is 0.
  std::vector<std::int64_t> sizes(const std::string& name, std::size_t count,
                                  std::optional<std::int64_t> otherwise = std::nullopt);

  void finish() const;
  [[noreturn]] void fail(const std::string& message, const std::string& hint = "") const;

 private:
  template <typename T>
  T require(const std::string& name, const char* wanted);

  const DeclaredLayer& layer_;
  std::set<std::string> read_;
};

}  // namespace tenon
