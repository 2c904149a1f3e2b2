#include "pt2/dtype_change.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/suggest.h"
#include "pt2/dtype_flow.h"
#include "pt2/dtype_operators.h"
#include "pt2/pt2_weights.h"

namespace tenon {
namespace {

bool is_half(at::ScalarType dtype) { return dtype == at::kHalf || dtype == at::kBFloat16; }

// That of most numbers in the parameters; of a program without, of its other tensors.
std::optional<at::ScalarType> own_dtype(const ModelData& model) {
  std::map<at::ScalarType, std::int64_t> counts;
  for (const bool parameters : {true, false}) {
    for (const ModelTensor& tensor : model.tensors) {
      const bool counted = parameters == (tensor.kind == ValueKind::kParameter);
      if (!counted || !at::isFloatingType(tensor.tensor.scalar_type())) continue;
      counts[tensor.tensor.scalar_type()] += tensor.tensor.numel();
    }
    if (!counts.empty()) break;
  }
  const auto most = std::ranges::max_element(
      counts, [](const auto& one, const auto& other) { return one.second < other.second; });
  return most == counts.end() ? std::nullopt : std::optional(most->first);
}

void require_flat(const ModelData& model, at::ScalarType dtype) {
  std::set<std::string> found;
  constexpr std::string_view kHigherOrder = "higher_order::";
  for (const Node& node : model.graph.nodes) {
    if (node.target.starts_with(kHigherOrder))
      found.insert(node.target.substr(kHigherOrder.size()));
  }
  const std::vector<std::string> operators(found.begin(), found.end());
  if (operators.empty()) return;
  throw Error({.stage = Stage::kModel,
               .message = "[model] dtype: this program runs graphs of their own (" +
                          join(operators) +
                          "), in which it cannot be told which casts follow the model's dtype",
               .hint = std::string("export the model in ") + c10::toString(dtype) +
                       ": model.to(dtype) before torch.export",
               .location = model.source});
}

// Every mention of one dtype becomes another.
void replace_dtype(Graph& graph, at::ScalarType from, at::ScalarType to) {
  const auto number = [](at::ScalarType dtype) { return static_cast<std::int64_t>(dtype); };
  for (Node& node : graph.nodes) {
    if (greatest_of(to) < greatest_of(from)) keep_in_range(node, to);
    for (NamedArgument& argument : node.arguments) {
      auto* constant = std::get_if<c10::IValue>(&argument.value.value);
      const bool is_dtype = argument.name == "dtype" || argument.name == "out_dtype";
      if (is_dtype && constant != nullptr && constant->isInt() &&
          constant->toInt() == number(from)) {
        *constant = number(to);
      }
      if (auto* nested = std::get_if<std::shared_ptr<Graph>>(&argument.value.value)) {
        replace_dtype(**nested, from, to);
      }
    }
  }
}

// A checksum of the file says nothing of the new numbers.
void cast(ModelTensor& tensor, at::ScalarType dtype) {
  const at::Tensor original = tensor.tensor;
  const bool is_as_in_file = tensor.crc32 >= 0;
  tensor.tensor = original.to(dtype);
  tensor.crc32 = -1;
  if (is_as_in_file) pt2::release_pages(original);
}

}  // namespace

void change_dtype(ModelData& model, const std::vector<std::optional<pt2::RecordedTensor>>& recorded,
                  at::ScalarType dtype) {
  const std::optional<at::ScalarType> own = own_dtype(model);
  if (!own || *own == dtype) return;
  const bool narrows = is_half(dtype) && !is_half(*own);
  std::set<std::int32_t> kept;
  if (narrows) {
    require_flat(model, dtype);
    kept = follow_half(model, recorded, *own, dtype);
  } else {
    replace_dtype(model.graph, *own, dtype);
    for (InputSpec& input : model.inputs) {
      if (input.dtype == *own) input.dtype = dtype;
    }
  }
  for (std::size_t i = 0; i < model.tensors.size(); ++i) {
    const at::ScalarType now = model.tensors[i].tensor.scalar_type();
    const bool is_meant = narrows ? at::isFloatingType(now) && now != dtype : now == *own;
    if (is_meant && !kept.contains(static_cast<std::int32_t>(i))) cast(model.tensors[i], dtype);
  }
}

}  // namespace tenon
