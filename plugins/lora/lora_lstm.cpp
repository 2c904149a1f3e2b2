// LoRA on torch.nn.LSTM and its cell: weight_ih and weight_hh of every layer and direction become
// W + s * B A.
#include <tenon/sdk.hpp>

#include "lora/recurrent.hpp"

namespace {

struct LoraLstm : lora::RecurrentLayer<LoraLstm> {
  static constexpr tenon::layer_type kType{.id = "tenon.lora-lstm",
                                           .method = "lora",
                                           .base = "torch.nn.LSTM;torch.nn.LSTMCell",
                                           .title = "lora.LSTM",
                                           .doc = "Low-rank updates of the weights of LSTM."};
};

}  // namespace

TENON_PLUGIN("tenon.lora-lstm", "0.1.0", LoraLstm)
