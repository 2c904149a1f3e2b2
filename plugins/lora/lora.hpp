// What the layers of the LoRA family share: how A and B start, dropout before A, precisions, and
// adding the low-rank term s * B A x to an output or s * B A to a weight (Hu et al. 2021,
// arXiv:2106.09685; PEFT: tuners/lora/layer.py).
#pragma once

#include <string>
#include <vector>

#include <tenon/sdk.hpp>

namespace lora {

// Places of the two matrices among an adapter's parameters, where there is one pair.
constexpr std::uint32_t kA = 0;
constexpr std::uint32_t kB = 1;

// The names of a pair, where the weight is multiplied as it lies, and where its rows are looked up.
inline constexpr tenon_factor_form kPairs[] = {
    {"lora_A.weight", "lora_B.weight", "lora_B.bias", "lora_magnitude_vector", 0, 0},
    {"lora_embedding_A", "lora_embedding_B", nullptr, "lora_magnitude_vector",
     TENON_FACTORS_TRANSPOSED, 0}};

inline std::int64_t layer_rank(const tenon::Setup& setup) {
  return setup.option<std::int64_t>("r");
}
inline double dropout_of(const tenon::Setup& setup) { return setup.option<double>("lora_dropout"); }

// What `prepare` makes where nothing else is to be kept.
struct Dropout {
  double dropout = 0;
};

// For layers whose update no input passes through, and which PEFT gives a lora_dropout that it
// never applies.
inline void tell_dropout_ignored(const tenon::Setup& setup, const char* id) {
  if (dropout_of(setup) == 0) return;
  const std::string text = "lora_dropout has no effect on " + std::string(setup.base().type()) +
                           " at `" + std::string(setup.base().path()) +
                           "`: no input passes through the update";
  tenon::log_warning(id, text);
}

// How A and B start: "default" where init_lora_weights is true, "random" where it is false, else
// its text.
inline std::string start_of(const tenon::Setup& setup) {
  constexpr const char* kKey = "init_lora_weights";
  if (setup.option_tag(kKey) == TENON_VALUE_STRING) return setup.option<std::string>(kKey);
  return setup.option<bool>(kKey) ? "default" : "random";
}

inline tenon::Init initial_a(const tenon::Setup& setup, std::int64_t rank) {
  const std::string init = start_of(setup);
  if (init == "gaussian") return tenon::Init::normal(0, 1.0 / static_cast<double>(rank));
  if (init == "default" || init == "random") return tenon::Init::kaiming_uniform();
  throw tenon::Failure(TENON_UNSUPPORTED,
                       "init_lora_weights = \"" + init + "\" is for fully connected layers only");
}
inline tenon::Init initial_b(const tenon::Setup& setup) {
  if (start_of(setup) == "random") {
    return tenon::Init::kaiming_uniform();
  }
  return tenon::Init::zeros();
}

// Declares a pair under PEFT's names, `prefix` before them: "lora_A.weight" and "lora_B.weight".
inline void add_pair(tenon::Setup& setup, std::int64_t rank, const tenon::Shape& a,
                     const tenon::Shape& b, const std::string& prefix) {
  setup.parameter(prefix + "lora_A.weight", a, initial_a(setup, rank));
  setup.parameter(prefix + "lora_B.weight", b, initial_b(setup));
}
inline void add_pair(tenon::Setup& setup, const tenon::Shape& a, const tenon::Shape& b) {
  add_pair(setup, layer_rank(setup), a, b, "");
}

// For LoRA+ and LoRA-FA, of parameters that are pairs: B is the fast one, and A its partner.
inline void group_pair(std::uint32_t parameter, tenon::Group& group) {
  if (parameter % 2 == 0) return;
  group.flags |= TENON_GROUP_FAST;
  group.down = static_cast<std::int32_t>(parameter) - 1;
}

inline tenon::Tensor with_dtype(const tenon::Tensor& x, std::int32_t dtype) {
  return x.dtype() == dtype ? x : tenon::to_dtype(x, dtype);
}

// The layer's input as the low-rank path takes it: in A's precision, after dropout.
inline tenon::Tensor low_rank_input(const tenon::Call& call, const tenon::Adapter& adapter,
                                    const tenon::Tensor& x, double share) {
  const tenon::Tensor input = with_dtype(x, adapter.parameter(kA).dtype());
  if (!call.training() || share == 0) return input;
  static const tenon::Operator dropout("tenon::dropout");  // keeps no mask for the gradient
  return dropout(input, share);
}

// y + scaling * term, computed in the wider of the two precisions and returned in y's.
inline tenon::Tensor add_term(const tenon::Tensor& y, const tenon::Tensor& term, double scaling) {
  return with_dtype(add(y, term, scaling), y.dtype());
}

inline tenon::Tensor zeros_like(const tenon::Tensor& like, const tenon::Shape& shape) {
  static const tenon::Operator new_zeros("aten::new_zeros");
  return new_zeros(like, shape);
}

// The base without its own bias, so that only the term comes out: `weight` in place of its weight,
// zeros of `size` in place of its bias.
inline std::vector<tenon::Replaced> without_bias(const tenon::Call& call,
                                                 const tenon::Tensor& weight, std::int64_t size) {
  const tenon::Base& base = call.base_info();
  std::vector<tenon::Replaced> replaced{{base.weight("weight"), weight}};
  if (base.find_weight("bias")) {
    replaced.emplace_back(base.weight("bias"), zeros_like(weight, {size}));
  }
  return replaced;
}

}  // namespace lora
