// LoRA on torch.nn.RNN and its cell: weight_ih and weight_hh of every layer and direction become
// W + s * B A.
#include <tenon/sdk.hpp>

#include "lora/recurrent.hpp"

namespace {

struct LoraRnn : lora::RecurrentLayer<LoraRnn> {
  static constexpr tenon::layer_type kType{.id = "tenon.lora-rnn",
                                           .method = "lora",
                                           .base = "torch.nn.RNN;torch.nn.RNNCell",
                                           .title = "lora.RNN",
                                           .doc = "Low-rank updates of the weights of RNN."};
};

}  // namespace

TENON_PLUGIN("tenon.lora-rnn", "0.1.0", LoraRnn)
