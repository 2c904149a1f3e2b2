// LoRA on recurrent layers: each matrix that multiplies an input or a hidden state is updated, and
// the fused operator of all time steps runs once on the updated weights.
#pragma once

#include <string_view>

#include "lora/weights.hpp"

namespace lora {

// "weight_ih_l0", "weight_hh_l1_reverse"; of a cell "weight_ih". Not a projection's "weight_hr_l0",
// nor what weight_norm makes of a weight ("weight_ih_l0_g").
inline bool is_recurrent_matrix(std::string_view name) {
  if (!name.starts_with("weight_ih") && !name.starts_with("weight_hh")) return false;
  name.remove_prefix(std::string_view("weight_ih").size());
  if (name.empty()) return true;
  if (!name.starts_with("_l")) return false;
  name.remove_prefix(2);
  const std::size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
  name.remove_prefix(digits);
  return digits > 0 && (name.empty() || name == "_reverse");
}

template <typename Type>
struct RecurrentLayer : WeightsLayer<Type> {
  static bool is_adapted(const tenon::Weight& weight) { return is_recurrent_matrix(weight.name); }
};

}  // namespace lora
