#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "adapter/adapter_store.h"
#include "plugin/method.h"

// An adapter's tensors sorted by the layers that they belong to, without the model.
namespace tenon {

// Where a tensor of a file belongs, by its key: "seq.0" and "ia3_l".
struct TensorPlace {
  enum class Kind { kLayer, kSavedModule, kOther };  // other: a bias of the base
  Kind kind = Kind::kOther;
  std::string module;
  std::string name;
};
// `factors`: of its method; nullptr where that has none.
TensorPlace place_of(const AdapterFiles& files, const Factors* factors, const std::string& key);

// One pair of factors: the layer's term is scaling * b * a.
struct FactorPair {
  const FactorForm* form = nullptr;  // of the method's
  at::Tensor a;                      // (r, in, ...)
  at::Tensor b;                      // (out, r, ...)
  at::Tensor bias;                   // of b; undefined without
  at::Tensor magnitude;              // undefined without
  std::int64_t r = 0;  // of a stack of matrices: of each, where rank() is that of all together
  double alpha = 0;
  double scaling = 1;
  // Of parameters in target_parameters files do not say which is which; where the config gives them
  // different rank or alpha, only the model tells, and the three above are one of them.
  bool is_ambiguous = false;
  std::optional<std::int64_t> wanted_r = {};  // the config's, where the tensors have another

  std::int64_t rank() const { return a.size(0); }
  // A grouped convolution's factors do not multiply to one matrix.
  bool is_grouped() const { return b.size(1) != a.size(0); }
  // (out, in and all behind it), in float32 at least.
  at::Tensor product() const;
};

// By module path, with PEFT's `base_layer` in it where layers stand in one another. `method`: of
// the files, whose config has all of its keys. Throws Error{Stage::kAdapter} with every half of a
// pair that is missing or of a wrong shape.
std::map<std::string, FactorPair> factor_pairs(const AdapterFiles& files, const Method& method);

// The path that rank_pattern and its kin know a pair by: "mha" of "mha.base_layer.out_proj".
std::string pattern_path(const std::string& module);

}  // namespace tenon
