#include "adapter/idle_tensors.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace tenon {

std::vector<AdapterTensor> take_idle_tensors(const std::vector<std::string>& idle,
                                             AdapterFiles& files) {
  const auto is_used = [&](const AdapterTensor& tensor) {
    return std::ranges::none_of(
        idle, [&](const std::string& path) { return tensor.key.starts_with(path + "."); });
  };
  const auto first = std::stable_partition(files.tensors.begin(), files.tensors.end(), is_used);
  std::vector<AdapterTensor> taken(std::make_move_iterator(first),
                                   std::make_move_iterator(files.tensors.end()));
  files.tensors.erase(first, files.tensors.end());
  return taken;
}

}  // namespace tenon
