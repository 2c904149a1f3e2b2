// .npy: "\x93NUMPY", two bytes of a version, the header's length (2 bytes, of version 1, or 4), a
// Python dictionary as text, then the numbers. .npz: a zip file of such.
#include "data/numpy_file.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

#include "base/file.h"
#include "pt2/zip_directory.h"

namespace tenon {
namespace {

constexpr std::string_view kNpyMagic = "\x93NUMPY";
constexpr std::string_view kZipMagic = "PK\x03\x04";

// A place in a file: the whole of a .npy, or a record of a .npz.
struct NumpyArray {
  std::span<std::byte> bytes;
  std::shared_ptr<MappedFile> mapping;
  Stage stage;
  std::string location;

  [[noreturn]] void fail(const std::string& message, const std::string& hint = "") const {
    throw Error({.stage = stage, .message = message, .hint = hint, .location = location});
  }
};

std::optional<at::ScalarType> numpy_dtype(std::string_view name) {
  struct NumpyType {
    std::string_view name;
    at::ScalarType dtype;
  };
  constexpr std::array kTypes = std::to_array<NumpyType>({{"f8", at::kDouble},
                                                          {"f4", at::kFloat},
                                                          {"f2", at::kHalf},
                                                          {"i8", at::kLong},
                                                          {"i4", at::kInt},
                                                          {"i2", at::kShort},
                                                          {"i1", at::kChar},
                                                          {"u1", at::kByte},
                                                          {"b1", at::kBool}});
  for (const NumpyType& type : kTypes) {
    if (type.name == name) return type.dtype;
  }
  return std::nullopt;
}

// What stands behind 'key': in the header, up to the next comma outside brackets.
std::string_view value_behind(std::string_view header, std::string_view key) {
  const std::string quoted = "'" + std::string(key) + "':";
  const std::size_t found = header.find(quoted);
  if (found == std::string_view::npos) return "";
  std::string_view rest = header.substr(found + quoted.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const std::size_t end = rest.starts_with('(') ? rest.find(')') : rest.find_first_of(",}");
  return rest.substr(0, end);
}

std::vector<std::int64_t> shape_in(const NumpyArray& array, std::string_view text) {
  std::vector<std::int64_t> sizes;
  if (!text.starts_with('(')) array.fail("this is no .npy file: its header has no shape");
  text.remove_prefix(1);
  while (!text.empty()) {
    text.remove_prefix(std::min(text.find_first_not_of(" ,"), text.size()));
    if (text.empty()) break;
    std::int64_t size = -1;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), size);
    if (read.ec != std::errc() || size < 0) array.fail("its header has a shape that is none");
    sizes.push_back(size);
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
  }
  return sizes;
}

at::ScalarType dtype_in(const NumpyArray& array, std::string_view text) {
  const bool is_quoted = text.size() > 3 && text.front() == '\'' && text.back() == '\'';
  const std::string_view name = is_quoted ? text.substr(1, text.size() - 2) : "";
  if (name.find('O') != std::string_view::npos) {
    array.fail("the array holds pickled Python objects, which are never read",
               "save numbers: array.astype(\"float32\")");
  }
  const bool is_native = name.starts_with('<') || name.starts_with('|');
  const auto dtype = is_native ? numpy_dtype(name.substr(1)) : std::nullopt;
  if (dtype) return *dtype;
  array.fail("the array has the dtype " + std::string(text) + ", which is none of PyTorch's",
             "save it as little-endian float32, float64, float16, int64, int32, int16, int8, uint8 "
             "or bool");
}

std::uint64_t bytes_of(const NumpyArray& array, const std::vector<std::int64_t>& sizes,
                       std::uint64_t item) {
  std::uint64_t bytes = item;
  for (const std::int64_t size : sizes) {
    const auto factor = static_cast<std::uint64_t>(size);
    if (factor != 0 && bytes > std::numeric_limits<std::uint64_t>::max() / factor) {
      array.fail("its header has a shape that no memory holds");
    }
    bytes *= factor;
  }
  return bytes;
}

at::Tensor tensor_of(const NumpyArray& array) {
  const std::string_view text(reinterpret_cast<const char*>(array.bytes.data()),
                              array.bytes.size());
  constexpr std::size_t kVersion = 6;
  const std::size_t wide = text.size() > kVersion && text[kVersion] > 1 ? 4 : 2;
  const std::size_t begin = kVersion + 2 + wide;
  if (!text.starts_with(kNpyMagic) || text.size() < begin) array.fail("this is no .npy file");
  std::uint64_t length = 0;
  std::memcpy(&length, text.data() + kVersion + 2, wide);
  if (length > text.size() - begin) array.fail("the .npy file is cut off in its header");
  const std::string_view header = text.substr(begin, length);
  const at::ScalarType dtype = dtype_in(array, value_behind(header, "descr"));
  std::vector<std::int64_t> sizes = shape_in(array, value_behind(header, "shape"));
  const std::uint64_t bytes = bytes_of(array, sizes, c10::elementSize(dtype));
  if (bytes > text.size() - begin - length) array.fail("the .npy file is cut off");
  const at::TensorOptions options(dtype);
  if (bytes == 0) return at::empty(sizes, options);
  const bool is_fortran = value_behind(header, "fortran_order") == "True";
  if (is_fortran) std::ranges::reverse(sizes);
  std::byte* const data = array.bytes.data() + begin + length;
  at::Tensor tensor = at::from_blob(
      data, sizes, [mapping = array.mapping](void*) {}, options);
  if (reinterpret_cast<std::uintptr_t>(data) % c10::elementSize(dtype) != 0) {
    tensor = at::empty(sizes, options);
    std::memcpy(tensor.mutable_data_ptr(), data, bytes);
  }
  if (!is_fortran) return tensor;
  std::vector<std::int64_t> order;
  for (std::int64_t i = tensor.dim() - 1; i >= 0; --i) order.push_back(i);
  return tensor.permute(order);
}

bool starts_with_bytes(const std::filesystem::path& file, std::string_view magic) {
  std::array<char, 8> start{};
  std::ifstream stream(file, std::ios::binary);
  stream.read(start.data(), start.size());
  return std::string_view(start.data(), static_cast<std::size_t>(stream.gcount()))
      .starts_with(magic);
}

}  // namespace

bool is_npy_file(const std::filesystem::path& file) { return starts_with_bytes(file, kNpyMagic); }
bool is_npz_file(const std::filesystem::path& file) { return starts_with_bytes(file, kZipMagic); }

at::Tensor read_npy_file(const std::filesystem::path& file, Stage stage) {
  const auto mapping = std::make_shared<MappedFile>(file, stage);
  return tensor_of({mapping->bytes(), mapping, stage, file.string()});
}

NamedTensors read_npz_file(const std::filesystem::path& file, Stage stage) {
  constexpr std::string_view kEnding = ".npy";
  const auto mapping = std::make_shared<MappedFile>(file, stage);
  NamedTensors tensors;
  try {
    const ZipDirectory directory(mapping->bytes(), file.string());
    for (const ZipRecord& record : directory.records()) {
      const NumpyArray whole{mapping->bytes(), mapping, stage, file.string() + ":" + record.name};
      if (!record.name.ends_with(kEnding)) continue;
      if (!record.stored) {
        whole.fail("the array is compressed, so that it cannot be mapped",
                   "save with numpy.savez, not savez_compressed");
      }
      const std::uint64_t begin = directory.data_offset(record);
      if (begin > directory.begin() || record.size > directory.begin() - begin) {
        whole.fail("the .npz file is damaged");
      }
      const NumpyArray array{whole.bytes.subspan(begin, record.size), mapping, stage,
                             whole.location};
      tensors.emplace_back(record.name.substr(0, record.name.size() - kEnding.size()),
                           tensor_of(array));
    }
  } catch (const Error& error) {
    Failure failure = error.failure();
    failure.stage = stage;
    throw Error(std::move(failure));
  }
  return tensors;
}

}  // namespace tenon
