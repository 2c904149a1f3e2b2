#include "adapter/tied_tensors.h"

#include <ATen/ops/equal.h>

#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace tenon {
namespace {

// As of a Linear's: A (r, in) and B (out, r).
struct Factors {
  at::Tensor a;
  at::Tensor b;
};

bool are_equal(const Factors& one, const Factors& other) {
  return one.a.scalar_type() == other.a.scalar_type() &&
         one.b.scalar_type() == other.b.scalar_type() && one.a.sizes() == other.a.sizes() &&
         one.b.sizes() == other.b.sizes() && at::equal(one.a, other.a) && at::equal(one.b, other.b);
}

void set_factor(Factors& factors, const std::string& name, const at::Tensor& tensor) {
  if (tensor.dim() != 2) return;
  if (name == "lora_A.weight") factors.a = tensor;
  if (name == "lora_B.weight") factors.b = tensor;
  if (name == "lora_embedding_A") factors.b = tensor.t();
  if (name == "lora_embedding_B") factors.a = tensor.t();
}

}  // namespace

SavedTies saved_ties(const std::vector<AdapterTensor>& tensors) {
  SavedTies ties;
  std::map<std::string, Factors> layers;
  for (const AdapterTensor& tensor : tensors) {
    const std::size_t dot = tensor.key.rfind(".lora_");
    const std::string module =
        tensor.key.substr(0, dot == std::string::npos ? tensor.key.rfind('.') : dot);
    ties.layers.insert(module);
    if (dot == std::string::npos) continue;
    set_factor(layers[module], tensor.key.substr(dot + 1), tensor.tensor);
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

std::map<std::string, std::string> common_ties(
    const std::vector<AdapterFiles>& adapters,
    const std::vector<std::map<std::string, LoraPair>>& pairs, std::vector<std::string>& problems) {
  std::set<std::pair<std::string, std::string>> wanted;
  std::vector<SavedTies> ties;
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    ties.push_back(saved_ties(adapters[i].tensors));
    if (!adapters[i].config.ensure_weight_tying) continue;
    for (const auto& [one, other] : ties.back().pairs) {
      const bool embeds = pairs[i].at(one).is_embedding;
      const bool others = pairs[i].at(other).is_embedding;
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

LoraFactors tied_factors(const LoraFactors& owner, bool across) {
  return across ? LoraFactors{owner.b.t(), owner.a.t()} : owner;
}

}  // namespace tenon
