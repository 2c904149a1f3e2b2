#include "capture/module_operators.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

namespace tenon {
namespace {

// Types of PyTorch whose forward is one operator on all its parameters, and that operator's names.
const std::vector<std::string_view>* operators_of(std::string_view type) {
  static const std::map<std::string_view, std::vector<std::string_view>> kOperators{
      {"torch.nn.Linear", {"t", "linear", "addmm", "matmul", "mm", "add_"}},
      {"torch.nn.Bilinear", {"bilinear"}},
      {"torch.nn.Conv1d", {"conv1d"}},
      {"torch.nn.Conv2d", {"conv2d"}},
      {"torch.nn.Conv3d", {"conv3d"}},
      {"torch.nn.ConvTranspose1d", {"conv_transpose1d"}},
      {"torch.nn.ConvTranspose2d", {"conv_transpose2d"}},
      {"torch.nn.ConvTranspose3d", {"conv_transpose3d"}},
      {"torch.nn.Embedding", {"embedding", "embedding_renorm_"}},
      {"torch.nn.EmbeddingBag", {"embedding_bag", "embedding_renorm_"}},
      {"torch.nn.LayerNorm", {"layer_norm"}},
      {"torch.nn.GroupNorm", {"group_norm"}},
      {"torch.nn.BatchNorm1d", {"batch_norm", "add_"}},
      {"torch.nn.BatchNorm2d", {"batch_norm", "add_"}},
      {"torch.nn.BatchNorm3d", {"batch_norm", "add_"}},
      {"torch.nn.InstanceNorm1d", {"instance_norm"}},
      {"torch.nn.InstanceNorm2d", {"instance_norm"}},
      {"torch.nn.InstanceNorm3d", {"instance_norm"}},
      {"torch.nn.PReLU", {"prelu"}},
      {"torch.nn.RNN", {"rnn_tanh", "rnn_relu"}},
      {"torch.nn.LSTM", {"lstm"}},
      {"torch.nn.GRU", {"gru"}},
      {"torch.nn.RNNCell", {"rnn_tanh_cell", "rnn_relu_cell"}},
      {"torch.nn.LSTMCell", {"lstm_cell"}},
      {"torch.nn.GRUCell", {"gru_cell"}},
  };
  const auto found = kOperators.find(type);
  return found == kOperators.end() ? nullptr : &found->second;
}

}  // namespace

bool is_own_operator(const std::string& type, const Node& node) {
  const auto* own = operators_of(type);
  if (own == nullptr) return true;
  constexpr std::string_view kNamespace = "aten::";
  if (!node.target.starts_with(kNamespace)) return false;
  const std::string_view name = std::string_view(node.target).substr(kNamespace.size());
  return std::find(own->begin(), own->end(), name) != own->end();
}

bool reads_parameters_once(const std::string& type) { return operators_of(type) != nullptr; }

}  // namespace tenon
