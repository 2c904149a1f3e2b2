#include "adapter/tied_tensors.h"

#include <ATen/ops/equal.h>

#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace tenon {
namespace {

// Both as of a Linear: A (r, in) and B (out, r).
bool are_equal(const FactorMatrices& one, const FactorMatrices& other) {
  return one.a.scalar_type() == other.a.scalar_type() &&
         one.b.scalar_type() == other.b.scalar_type() && one.a.sizes() == other.a.sizes() &&
         one.b.sizes() == other.b.sizes() && at::equal(one.a, other.a) && at::equal(one.b, other.b);
}

void set_matrix(const Factors::Name& name, const at::Tensor& tensor, FactorMatrices& matrices) {
  const bool is_down = name.part == FactorPart::kDown;
  if (tensor.dim() != 2 || (!is_down && name.part != FactorPart::kUp)) return;
  const at::Tensor matrix = name.form->transposed ? tensor.t() : tensor;
  (is_down != name.form->transposed ? matrices.a : matrices.b) = matrix;
}

}  // namespace

SavedTies saved_ties(const std::vector<AdapterTensor>& tensors, const Factors& factors) {
  SavedTies ties;
  std::map<std::string, FactorMatrices> layers;
  for (const AdapterTensor& tensor : tensors) {
    const auto name = factors.find(tensor.key);
    ties.layers.insert(name ? name->module : tensor.key.substr(0, tensor.key.rfind('.')));
    if (name) set_matrix(*name, tensor.tensor, layers[name->module]);
  }
  std::erase_if(layers, [](const auto& layer) {
    return !layer.second.a.defined() || !layer.second.b.defined();
  });
  for (auto one = layers.begin(); one != layers.end(); ++one) {
    for (auto other = std::next(one); other != layers.end(); ++other) {
      if (!are_equal(one->second, other->second)) continue;
      ties.pairs.insert({one->first, other->first});
      ties.pairs.insert({other->first, one->first});
    }
  }
  return ties;
}

void note_ties(AdapterFiles& files, const MethodTable& methods) {
  if (!files.config.ensure_weight_tying || files.tensors.empty()) return;
  const Method* method = methods.of(files.config);
  if (method == nullptr || method->factors() == nullptr) return;
  files.config.saved_ties = saved_ties(files.tensors, *method->factors());
}

std::map<std::string, std::string> common_ties(
    const std::vector<AdapterFiles>& adapters,
    const std::vector<std::map<std::string, FactorPair>>& pairs, const Factors& factors,
    std::vector<std::string>& problems) {
  std::set<std::pair<std::string, std::string>> wanted;
  std::vector<SavedTies> ties;
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    ties.push_back(saved_ties(adapters[i].tensors, factors));
    if (!adapters[i].config.ensure_weight_tying) continue;
    for (const auto& [one, other] : ties.back().pairs) {
      const bool embeds = pairs[i].at(one).form->transposed;
      const bool others = pairs[i].at(other).form->transposed;
      if (embeds == others ? one < other : embeds) wanted.insert({one, other});
    }
  }
  std::map<std::string, std::string> owners;
  for (const auto& [owner, follower] : wanted) {
    const std::string both =
        std::string("`").append(owner).append("` and `").append(follower).append("`");
    for (std::size_t i = 0; i < adapters.size(); ++i) {
      const auto one = pairs[i].find(owner);
      const auto other = pairs[i].find(follower);
      if (one == pairs[i].end() && other == pairs[i].end()) continue;
      const std::string& name = adapters[i].config.name;
      if (!ties[i].pairs.contains({owner, follower})) {
        problems.push_back(std::string(name).append(": it does not tie ").append(both) +
                           " (ensure_weight_tying), as another of the adapters does");
      } else if (one->second.scaling != other->second.scaling) {
        problems.push_back(std::string(name).append(": it ties ").append(both) +
                           " (ensure_weight_tying) and scales them differently");
      }
    }
    owners.emplace(follower, owner);
  }
  return owners;
}

FactorMatrices tied_factors(const FactorMatrices& owner, bool across) {
  return across ? FactorMatrices{owner.b.t(), owner.a.t()} : owner;
}

}  // namespace tenon
