#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <tenon/sdk.hpp>

#include "lora/incremental_pca.hpp"

namespace lora {

// Layers that read the same input, the first of which stands for all.
struct InputGroup {
  explicit InputGroup(std::int64_t components) : pca(components) {}

  IncrementalPca pca;
  std::vector<bool> settled = std::vector<bool>(static_cast<std::size_t>(pca.n_components()));
  bool is_watched = true;

  bool has_settled(std::int64_t rank) const {
    return std::all_of(settled.begin(), settled.begin() + rank, [](bool each) { return each; });
  }
  void fit(const tenon::Tensor& rows, double tau) {
    static const tenon::Operator cosine("aten::cosine_similarity");
    const tenon::Tensor before = pca.components();
    pca.fit(rows);
    if (!before) return;
    const std::vector<double> similar = tenon::numbers_of<double>(cosine(pca.components(), before));
    for (std::size_t i = 0; i < settled.size(); ++i) settled[i] = similar[i] >= tau;
  }
};

}  // namespace lora
