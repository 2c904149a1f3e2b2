#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "plugin/method.h"

namespace tenon {

// The keys of an adapter whose method has factors, by what the method calls them. Borrows both;
// `keys` are complete (with_method).
class FactorKeys {
 public:
  template <typename T>
  using Patterns = std::vector<std::pair<std::string, T>>;

  FactorKeys(const Method& method, const OptionTable& keys);

  std::int64_t rank() const;
  double alpha() const;
  Patterns<std::int64_t> rank_pattern() const;
  Patterns<double> alpha_pattern() const;
  // What the product is multiplied with at a rank and an alpha.
  double scaling(std::int64_t rank, double alpha) const;
  bool by_root() const { return truth(names().root); }
  bool has_bias() const { return truth(names().bias); }
  bool has_magnitude() const { return truth(names().magnitude); }

  // The value of the key that says how factors start, as a config has it: "true", "\"pissa\"".
  std::string start_text() const;
  const std::string& bias_key() const { return names().bias; }
  const std::string& magnitude_key() const { return names().magnitude; }
  const std::string& start_key() const { return names().start; }
  // The start, if it is one that the method declares; nullptr: numbers drawn at random.
  const FactorStart* start() const;
  bool changes_base() const;
  bool starts_from_data() const;
  // Whether the key is false: factors are drawn once and for all.
  bool starts_at_random() const;

 protected:
  const FactorKeyNames& names() const { return method_.factors()->keys(); }
  const DeclaredOption& declared(const std::string& key) const;
  const Method& method() const { return method_; }

 private:
  bool truth(const std::string& key) const;
  template <typename T>
  Patterns<T> patterns_of(const std::string& key) const;

  const Method& method_;
  const OptionTable& keys_;
};

// The same keys, to be changed.
class FactorKeysEditor : public FactorKeys {
 public:
  FactorKeysEditor(const Method& method, OptionTable& keys)
      : FactorKeys(method, keys), keys_(keys) {}

  void set_rank(std::int64_t rank);
  void set_alpha(double alpha);
  void set_rank_pattern(const Patterns<std::int64_t>& patterns);
  void set_alpha_pattern(const Patterns<double>& patterns);
  void set_by_root(bool on) { set_truth(names().root, on); }
  void set_bias(bool on) { set_truth(names().bias, on); }
  // As an adapter that starts from random numbers.
  void set_plain_start();

 private:
  void set_truth(const std::string& key, bool on);
  template <typename T>
  void set_patterns(const std::string& key, const Patterns<T>& patterns);

  OptionTable& keys_;
};

// A number as an option holds it: whole ones as integers, as PEFT's users write them.
OptionValue number_value(double number);

}  // namespace tenon
