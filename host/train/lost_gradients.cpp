#include "train/lost_gradients.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <utility>

#include "graph/parameter_init.h"
#include "graph/upload.h"
#include "model/gradient_ends.h"
#include "plan/grouped_texts.h"

namespace tenon {
namespace {

constexpr std::size_t kMostTried = 16;  // layers, each by a forward of its own

// What an adapter trains at one layer or module, and the calls that run it.
struct TrainedPart {
  std::string path;
  std::vector<at::Tensor> tensors;
  std::vector<Subgraph> calls;
};

std::vector<TrainedPart> trained_parts(const AdapterInstance& adapter, const ModuleTree& tree) {
  std::map<std::string, std::vector<at::Tensor>> tensors;
  for (const AddedTensor& added : adapter.tensors) {
    if (added.tensor.requires_grad()) tensors[added.module].push_back(added.tensor);
  }
  std::vector<TrainedPart> parts;
  for (auto& [path, trained] : tensors) {
    TrainedPart part{path, std::move(trained), {}};
    for (const PlacedLayerAdapter& placed : adapter.layer_adapters) {
      const std::string& site = tree.at(placed.site.module).path;
      if (site != path && !site.starts_with(path + ".")) continue;
      part.calls.insert(part.calls.end(), placed.site.subgraphs.begin(),
                        placed.site.subgraphs.end());
    }
    if (!part.calls.empty()) parts.push_back(std::move(part));
  }
  return parts;
}

bool has_gradient(const TrainedPart& part) {
  return std::ranges::any_of(part.tensors, [](const at::Tensor& tensor) {
    return tensor.grad().defined() && tensor.grad().any().item<bool>();
  });
}

// Whether the output changes where the parameters are anything but what they are.
bool changes_output(const TrainedPart& part, const at::Tensor& output,
                    const std::function<at::Tensor()>& run_first_output) {
  std::vector<at::Tensor> kept;
  at::Generator generator = make_generator(0);
  for (const at::Tensor& tensor : part.tensors) {
    kept.push_back(tensor.detach().clone());
    at::Tensor changed = tensor.detach();
    const at::Tensor drawn = at::randn(changed.sizes(), generator, changed.scalar_type());
    changed.add_(upload(drawn, changed.device()));
  }
  const auto put_back = [&] {
    for (std::size_t i = 0; i < kept.size(); ++i) part.tensors[i].detach().copy_(kept[i]);
  };
  at::Tensor other;
  try {
    other = run_first_output();
  } catch (...) {
    put_back();
    throw;
  }
  put_back();
  return !at::equal(other, output);
}

}  // namespace

std::vector<std::string> lost_gradients(const AdaptedModel& model,
                                        const std::function<at::Tensor()>& run_first_output) {
  const at::NoGradGuard no_grad;
  const GradientEnds ends(model.model());
  GroupedTexts texts;
  std::vector<TrainedPart> unexplained;
  bool any_gradient = false;
  for (const std::string& name : model.active()) {
    for (TrainedPart& part : trained_parts(model.adapter(name), model.model().tree)) {
      if (has_gradient(part)) {
        any_gradient = true;
        continue;
      }
      if (!ends.influences(part.calls)) continue;
      const std::string end = ends.end_of(part.calls);
      if (end.empty()) {
        unexplained.push_back(std::move(part));
      } else {
        texts.add(part.path, "`" + part.path +
                                 "` gets no gradient and is not trained, though the output depends "
                                 "on it: the gradient ends at " +
                                 end);
      }
    }
  }
  // Where nothing has a gradient the loss itself may have none: it is zero, or judges no row.
  if (!any_gradient || unexplained.empty()) return texts.texts();
  const at::Tensor output = run_first_output();
  unexplained.resize(std::min(unexplained.size(), kMostTried));
  for (const TrainedPart& part : unexplained) {
    if (!changes_output(part, output, run_first_output)) continue;
    texts.add(part.path, "`" + part.path +
                             "` got no gradient in the first step, though the output depends on "
                             "it; an operator behind it may have none");
  }
  return texts.texts();
}

}  // namespace tenon
