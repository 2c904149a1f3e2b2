#include "app/not_finite.h"

#include <algorithm>

#include "base/suggest.h"
#include "data/data_check.h"

namespace tenon {

std::string not_finite_causes(const AdaptedModel& model, const ModelConfig& config,
                              const std::vector<const Dataset*>& data) {
  std::vector<std::string> causes;
  for (const Dataset* one : data) {
    for (std::string& cause : not_finite_data(*one)) causes.push_back(std::move(cause));
  }
  const std::string file = config.weights ? config.weights->string() : model.model().source;
  for (const ModelTensor& tensor : model.base_tensors()) {
    // Masks hold infinities on purpose.
    const bool is_parameter = tensor.kind == ValueKind::kParameter;
    const std::string text = not_finite_text(tensor.tensor.detach(), is_parameter);
    if (!text.empty()) causes.push_back("the base's `" + tensor.name + "` (" + file + ") " + text);
  }
  for (const std::string& name : model.adapter_names()) {
    for (const AddedTensor& added : model.adapter(name).tensors) {
      const std::string text = not_finite_text(added.tensor.detach());
      if (text.empty()) continue;
      causes.push_back("`" + added.key() + "` of the adapter " + name + " " + text);
    }
  }
  constexpr std::size_t kShown = 5;
  if (causes.size() > kShown) {
    const std::string more = "and " + std::to_string(causes.size() - kShown) + " more tensors";
    causes.resize(kShown);
    causes.push_back(more);
  }
  return join(causes, "\n  ");
}

}  // namespace tenon
