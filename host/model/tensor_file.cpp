#include "model/tensor_file.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/file.h"
#include "base/safetensors.h"

namespace tenon {
namespace {

struct DtypeName {
  std::string_view name;
  at::ScalarType dtype;
};

constexpr std::array kDtypeNames = std::to_array<DtypeName>({{"F64", at::kDouble},
                                                             {"F32", at::kFloat},
                                                             {"F16", at::kHalf},
                                                             {"BF16", at::kBFloat16},
                                                             {"I64", at::kLong},
                                                             {"I32", at::kInt},
                                                             {"I16", at::kShort},
                                                             {"I8", at::kChar},
                                                             {"U64", at::kUInt64},
                                                             {"U32", at::kUInt32},
                                                             {"U16", at::kUInt16},
                                                             {"U8", at::kByte},
                                                             {"BOOL", at::kBool},
                                                             {"C64", at::kComplexFloat},
                                                             {"F8_E4M3", at::kFloat8_e4m3fn},
                                                             {"F8_E5M2", at::kFloat8_e5m2},
                                                             {"F8_E4M3FNUZ", at::kFloat8_e4m3fnuz},
                                                             {"F8_E5M2FNUZ", at::kFloat8_e5m2fnuz},
                                                             {"F8_E8M0", at::kFloat8_e8m0fnu}});

std::optional<at::ScalarType> scalar_type(std::string_view name) {
  for (const DtypeName& entry : kDtypeNames) {
    if (entry.name == name) return entry.dtype;
  }
  return std::nullopt;
}

// The tensor's deleter holds the mapping, so the file stays mapped as long as any tensor lives.
at::Tensor alias_entry(const SafetensorsEntry& entry, at::ScalarType dtype,
                       const std::shared_ptr<MappedFile>& mapping) {
  const at::TensorOptions options = at::TensorOptions().dtype(dtype);
  if (entry.bytes.empty()) return at::empty(entry.shape, options);
  const at::Tensor tensor = at::from_blob(
      entry.bytes.data(), entry.shape, [mapping](void*) {}, options);
  const auto address = reinterpret_cast<std::uintptr_t>(entry.bytes.data());
  return address % c10::elementSize(dtype) == 0 ? tensor : tensor.clone();
}

at::Tensor plain_tensor(const at::Tensor& tensor) {
  return tensor.detach().to(at::kCPU).resolve_conj().resolve_neg().contiguous();
}

SafetensorsEntry entry_of(const std::filesystem::path& path, const std::string& name,
                          const at::Tensor& tensor) {
  const std::string dtype = safetensors_dtype(tensor.scalar_type());
  if (dtype.empty()) {
    throw Error({.stage = Stage::kOutput,
                 .message = "cannot write `" + name + "`: a safetensors file has no dtype for " +
                            c10::toString(tensor.scalar_type()),
                 .hint = "convert the tensor to another dtype",
                 .location = path.string()});
  }
  return {.name = name,
          .dtype = dtype,
          .shape = tensor.sizes().vec(),
          .bytes = {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()}};
}

}  // namespace

std::string safetensors_dtype(at::ScalarType dtype) {
  for (const DtypeName& entry : kDtypeNames) {
    if (entry.dtype == dtype) return std::string(entry.name);
  }
  return "";
}

NamedTensors read_tensor_file(const std::filesystem::path& path, Stage stage) {
  return tensors_of(SafetensorsFile(path, stage));
}

NamedTensors tensors_of(const SafetensorsFile& file) {
  NamedTensors tensors;
  for (const SafetensorsEntry& entry : file.entries()) {
    // The reader lets no dtype through that is not in the table above.
    const at::ScalarType dtype = scalar_type(entry.dtype).value();
    tensors.emplace_back(entry.name, alias_entry(entry, dtype, file.mapping()));
  }
  return tensors;
}

void write_tensor_file(const std::filesystem::path& path, const NamedTensors& tensors,
                       Existing existing, const std::map<std::string, std::string>& metadata) {
  std::vector<at::Tensor> kept;  // the bytes of the entries
  std::vector<SafetensorsEntry> entries;
  for (const auto& [name, tensor] : tensors) {
    kept.push_back(plain_tensor(tensor));
    entries.push_back(entry_of(path, name, kept.back()));
  }
  write_safetensors(path, std::move(entries), metadata, existing);
}

}  // namespace tenon
