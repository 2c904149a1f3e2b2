#include "ranks/collect_rows.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <cstring>
#include <string>

namespace tenon {
namespace {

// Each tensor's number of rows, then its bytes.
std::string bytes_of(const std::vector<at::Tensor>& tensors) {
  std::string bytes;
  for (const at::Tensor& tensor : tensors) {
    const at::Tensor flat = tensor.to(at::kCPU).contiguous();
    const std::int64_t rows = tensor.size(0);
    bytes.append(reinterpret_cast<const char*>(&rows), sizeof(rows));
    bytes.append(static_cast<const char*>(flat.const_data_ptr()), flat.nbytes());
  }
  return bytes;
}

// The tensor at `place` of another rank's bytes, which is of rank 0's type and shape but for the
// rows.
at::Tensor read_rows(const std::string& bytes, std::size_t& place, const at::Tensor& like) {
  std::int64_t rows = 0;
  std::memcpy(&rows, bytes.data() + place, sizeof(rows));
  place += sizeof(rows);
  std::vector<std::int64_t> sizes = like.sizes().vec();
  sizes[0] = rows;
  at::Tensor tensor = at::empty(sizes, like.options().device(at::kCPU));
  std::memcpy(tensor.mutable_data_ptr(), bytes.data() + place, tensor.nbytes());
  place += tensor.nbytes();
  return tensor;
}

}  // namespace

std::vector<at::Tensor> collect_rows(Ranks& ranks, std::vector<at::Tensor> own) {
  if (ranks.is_alone()) return own;
  const std::vector<std::string> all = ranks.collect(ranks.is_first() ? "" : bytes_of(own));
  if (!ranks.is_first()) return {};
  std::vector<std::vector<at::Tensor>> parts;
  for (const at::Tensor& tensor : own) parts.push_back({tensor.to(at::kCPU)});
  for (const std::string& bytes : all) {
    std::size_t place = 0;
    for (std::size_t i = 0; i < parts.size() && !bytes.empty(); ++i) {
      parts[i].push_back(read_rows(bytes, place, own[i]));
    }
  }
  std::vector<at::Tensor> joined;
  for (const std::vector<at::Tensor>& part : parts) joined.push_back(at::cat(part));
  return joined;
}

}  // namespace tenon
