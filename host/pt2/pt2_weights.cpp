#include "pt2/pt2_weights.h"

#include <ATen/core/Tensor.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/Storage.h>
#include <c10/core/TensorImpl.h>

#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "pt2/mapped_pages.h"
#include "pt2/problem_list.h"

namespace tenon::pt2 {
namespace {

constexpr const char* kWeights = "data/weights/";
constexpr const char* kConstants = "data/constants/";
// Enough for complex128, the most demanding dtype.
constexpr std::uintptr_t kAlignment = 16;
constexpr std::size_t kMostDimensions = 64;

struct Layout {
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> strides;
  std::int64_t offset = 0;
  bool operator<(const Layout& other) const {
    return std::tie(sizes, strides, offset) < std::tie(other.sizes, other.strides, other.offset);
  }
};

std::optional<Layout> fixed_layout(const TensorMeta& meta) {
  Layout result;
  for (const Dimension& size : meta.sizes) result.sizes.push_back(size.size);
  for (const Dimension& stride : meta.strides) result.strides.push_back(stride.size);
  result.offset = meta.storage_offset.size;
  const auto negative = [](std::int64_t number) { return number < 0; };  // symbolic, or damaged
  if (!meta.strided || result.sizes.size() != result.strides.size() ||
      result.sizes.size() > kMostDimensions || negative(result.offset) ||
      std::any_of(result.sizes.begin(), result.sizes.end(), negative) ||
      std::any_of(result.strides.begin(), result.strides.end(), negative)) {
    return std::nullopt;
  }
  return result;
}

// Bytes from the storage's start to the end of the last element; nothing on overflow.
std::optional<std::uint64_t> bytes_needed(const Layout& layout, std::uint64_t item_size) {
  std::int64_t count = static_cast<std::int64_t>(item_size);
  std::int64_t last = layout.offset;
  bool empty = false;
  for (std::size_t index = 0; index < layout.sizes.size(); ++index) {
    const std::int64_t size = layout.sizes[index];
    std::int64_t step = 0;
    if (size == 0) empty = true;
    if (__builtin_mul_overflow(count, std::max<std::int64_t>(size, 1), &count) ||
        __builtin_mul_overflow(std::max<std::int64_t>(size, 1) - 1, layout.strides[index], &step) ||
        __builtin_add_overflow(last, step, &last)) {
      return std::nullopt;
    }
  }
  std::int64_t bytes = 0;
  if (__builtin_add_overflow(last, 1, &last) ||
      __builtin_mul_overflow(last, static_cast<std::int64_t>(item_size), &bytes)) {
    return std::nullopt;
  }
  return empty ? 0 : static_cast<std::uint64_t>(bytes);
}

// A tensor may repeat its bytes by strides of 0, but not so often that using it takes a memory that
// the file's size gives no idea of.
bool is_repeated_too_often(const Layout& layout, std::uint64_t item_size, std::uint64_t file_size) {
  constexpr std::uint64_t kAlwaysAllowed = std::uint64_t{1} << 30;
  std::uint64_t bytes = item_size;  // does not overflow: bytes_needed() saw to that
  for (const std::int64_t size : layout.sizes) bytes *= static_cast<std::uint64_t>(size);
  return bytes > std::max(kAlwaysAllowed, file_size);
}

void release_mapping(void* mapping) { delete static_cast<std::shared_ptr<MappedFile>*>(mapping); }

c10::Storage make_storage(const Pt2Archive& archive, const Pt2Entry& entry) {
  const std::span<std::byte> bytes = entry.bytes;
  const bool aligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % kAlignment == 0;
  c10::DataPtr data;
  if (aligned) {
    auto owner = std::make_unique<std::shared_ptr<MappedFile>>(archive.mapping());
    data = c10::DataPtr(bytes.data(), owner.release(), release_mapping, c10::kCPU);
  } else {
    data = c10::GetCPUAllocator()->allocate(bytes.size());
    if (!bytes.empty()) std::memcpy(data.get(), bytes.data(), bytes.size());
  }
  return c10::Storage(c10::Storage::use_byte_size_t(), bytes.size(), std::move(data),
                      /*allocator=*/nullptr, /*resizable=*/false);
}

class WeightReader {
 public:
  explicit WeightReader(const Pt2Archive& archive)
      : archive_(archive),
        problems_(archive.mapping()->path().string()),
        weights_(read_config(kWeights, "model_weights_config.json")),
        constants_(read_config(kConstants, "model_constants_config.json")) {}

  Weights read(const std::vector<InputSpec>& inputs) {
    Weights result;
    for (const InputSpec& input : inputs) result.tensor_of_input.push_back(add_input(input));
    for (const auto& [name, payload] : weights_) {
      const ValueKind kind = payload.is_parameter ? ValueKind::kParameter : ValueKind::kBuffer;
      if (!used_.contains(name)) add(name, kWeights, payload, kind, true);
    }
    problems_.throw_if_any("the weights of this exported program cannot be read",
                           "Export the model again with torch.export.save.");
    result.tensors = std::move(tensors_);
    return result;
  }

 private:
  using Payloads = std::map<std::string, Payload>;
  using Identity = std::tuple<const Pt2Entry*, at::ScalarType, Layout>;

  Payloads read_config(const std::string& folder, const std::string& name) const {
    const Pt2Entry* entry = archive_.find(folder + name);
    if (entry == nullptr) return {};
    return parse_payloads(archive_.text(*entry), archive_.mapping()->path().string(), entry->name);
  }

  std::int32_t add_input(const InputSpec& input) {
    switch (input.kind) {
      case InputKind::kParameter:
        return add_named(input, ValueKind::kParameter);
      case InputKind::kBuffer:
        return add_named(input, ValueKind::kBuffer);
      case InputKind::kConstant:
        return add_named(input, ValueKind::kConstant);
      default:
        return -1;
    }
  }

  // Buffers outside the state dict stand with the constants.
  std::int32_t add_named(const InputSpec& input, ValueKind kind) {
    if (const auto found = weights_.find(input.target); found != weights_.end()) {
      used_.insert(input.target);
      return add(input.target, kWeights, found->second, kind, input.persistent);
    }
    if (const auto found = constants_.find(input.target); found != constants_.end()) {
      return add(input.target, kConstants, found->second, kind, input.persistent);
    }
    problems_.add("`" + input.target + "` is not in the file");
    return -1;
  }

  std::int32_t add(const std::string& name, const std::string& folder, const Payload& payload,
                   ValueKind kind, bool persistent) {
    if (payload.is_pickled) {
      problems_.add("`" + name + "` is pickled (a tensor subclass), and pickles are never read");
      return -1;
    }
    const Pt2Entry* entry = archive_.find(folder + payload.entry);
    if (entry == nullptr) {
      problems_.add("`" + name + "` is in the entry `" + folder + payload.entry +
                    "`, which the archive does not have");
      return -1;
    }
    const std::optional<Layout> layout =
        payload.meta ? fixed_layout(*payload.meta) : std::optional<Layout>();
    if (!layout) {
      problems_.add("`" + name + "` has no plain strided layout");
      return -1;
    }
    const Identity identity{entry, payload.meta->dtype, *layout};
    const auto [found, is_new] =
        by_identity_.try_emplace(identity, static_cast<std::int32_t>(tensors_.size()));
    if (!is_new) {
      if (found->second >= 0) add_alias(tensors_[static_cast<std::size_t>(found->second)], name);
      return found->second;
    }
    if (!add_tensor(name, *entry, payload.meta->dtype, *layout, kind, persistent)) {
      found->second = -1;
    }
    return found->second;
  }

  static void add_alias(ModelTensor& tensor, const std::string& name) {
    if (tensor.name != name) tensor.aliases.push_back(name);
  }

  bool add_tensor(const std::string& name, const Pt2Entry& entry, at::ScalarType dtype,
                  const Layout& layout, ValueKind kind, bool persistent) {
    const std::optional<std::uint64_t> needed = bytes_needed(layout, c10::elementSize(dtype));
    if (!needed || *needed > entry.bytes.size()) {
      problems_.add("`" + name + "` needs " + (needed ? std::to_string(*needed) : "too many") +
                    " bytes, but the entry `" + entry.name + "` has " +
                    std::to_string(entry.bytes.size()));
      return false;
    }
    if (is_repeated_too_often(layout, c10::elementSize(dtype),
                              archive_.mapping()->bytes().size())) {
      problems_.add("`" + name + "` repeats the " + std::to_string(entry.bytes.size()) +
                    " bytes of the entry `" + entry.name + "` to a size beyond the file's");
      return false;
    }
    auto storage = storages_.find(&entry);
    if (storage == storages_.end()) {
      storage = storages_.emplace(&entry, make_storage(archive_, entry)).first;
    }
    at::Tensor tensor = at::detail::make_tensor<c10::TensorImpl>(
        c10::Storage(storage->second), c10::DispatchKeySet(c10::DispatchKey::CPU),
        c10::scalarTypeToTypeMeta(dtype));
    tensor.unsafeGetTensorImpl()->set_sizes_and_strides(layout.sizes, layout.strides,
                                                        layout.offset);
    // The directory's checksum is the tensor's own only if the tensor is all of the entry.
    const bool is_whole =
        layout.offset == 0 && tensor.is_contiguous() && tensor.nbytes() == entry.bytes.size();
    const std::int64_t crc32 = is_whole ? static_cast<std::int64_t>(entry.crc32) : -1;
    tensors_.push_back({name, {}, kind, persistent, std::move(tensor), crc32});
    return true;
  }

  const Pt2Archive& archive_;
  ProblemList problems_;
  Payloads weights_;
  Payloads constants_;
  std::set<std::string> used_;
  std::map<const Pt2Entry*, c10::Storage> storages_;
  std::map<Identity, std::int32_t> by_identity_;
  std::vector<ModelTensor> tensors_;
};

}  // namespace

void release_pages(const at::Tensor& tensor) {
  if (tensor.storage().data_ptr().get_deleter() != release_mapping) return;
  const auto* bytes = static_cast<const std::byte*>(tensor.storage().data());
  give_back_pages({bytes, tensor.storage().nbytes()});
}

Weights read_weights(const Pt2Archive& archive, const std::vector<InputSpec>& inputs) {
  return WeightReader(archive).read(inputs);
}

}  // namespace tenon::pt2
