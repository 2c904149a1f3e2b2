#pragma once

#include <tenon/draft/factors.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/declared_options.h"

namespace tenon {

// How the parameters of one pair are called: a copy of tenon_factor_form, "" for what there is not.
struct FactorForm {
  explicit FactorForm(const tenon_factor_form& form);
  FactorForm() = default;

  std::string down;
  std::string up;
  std::string bias;
  std::string magnitude;
  bool transposed = false;
};

// A way for factors to start: a copy of tenon_factor_start.
struct FactorStart {
  std::string name;
  std::string table;  // "": there is none
  bool changes_base = false;
  bool from_data = false;
  bool of_layer = false;
};

// What the method calls its keys; "" for those that it does not have.
struct FactorKeyNames {
  std::string rank;
  std::string alpha;
  std::string root;
  std::string bias;
  std::string magnitude;
  std::string dropout;
  std::string start;
};

enum class FactorPart { kDown, kUp, kBias, kMagnitude };

// The pairs that a method's adapters consist of (tenon/draft/factors.h).
class Factors {
 public:
  explicit Factors(const tenon_factors& table);

  const std::vector<FactorForm>& forms() const { return forms_; }
  // The form of weights that are multiplied as they lie, or of those whose rows are looked up;
  // the method's first where it has no such form.
  const FactorForm& form(bool transposed) const;

  const FactorKeyNames& keys() const { return keys_; }
  const std::vector<FactorStart>& starts() const { return starts_; }
  // Whether adapters of other methods are converted to it.
  bool are_general() const { return are_general_; }
  // How PEFT makes adapters of the method of those of this type; "": not at all.
  std::string conversion_of(const std::string& peft_type) const;

  struct Name {
    std::string module;  // "seq.0" of "seq.0.hada_w1_a"
    const FactorForm* form = nullptr;
    FactorPart part = FactorPart::kDown;
  };
  // What the tensor of that key is; nothing if it is no part of a pair.
  std::optional<Name> find(std::string_view key) const;

 private:
  std::vector<FactorForm> forms_;
  FactorKeyNames keys_;
  std::vector<FactorStart> starts_;
  std::string conversion_;
  std::vector<std::string> converted_;
  bool are_general_ = false;
};

// Why a plugin's tables cannot be used; "" if they can, or are not there. Nothing else may be read
// of them before.
// `declared`: the method's keys.
std::string factors_fault(const tenon_factors* table, std::span<const DeclaredOption> declared);
std::string factors_fault(const tenon_layer_factors* table);

}  // namespace tenon
