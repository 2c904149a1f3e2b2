// LoRA on torch.nn.GRU and its cell: weight_ih and weight_hh of every layer and direction become
// W + s * B A.
#include <tenon/sdk.hpp>

#include "lora/recurrent.hpp"

namespace {

struct LoraGru : lora::RecurrentLayer<LoraGru> {
  static constexpr tenon::layer_type kType{.id = "tenon.lora-gru",
                                           .method = "lora",
                                           .base = "torch.nn.GRU;torch.nn.GRUCell",
                                           .title = "lora.GRU",
                                           .doc = "Low-rank updates of the weights of GRU."};
};

}  // namespace

TENON_PLUGIN("tenon.lora-gru", "0.1.0", LoraGru)
