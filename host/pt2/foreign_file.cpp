#include "pt2/foreign_file.h"

#include "base/error.h"
#include "base/foreign_content.h"

namespace tenon {
namespace {

using namespace std::string_view_literals;

constexpr const char* kOnlyPyTorch =
    "Tenon adapts PyTorch models: export the model that this file was made of. "
    "torch.export.save(torch.export.export(model, args), \"model.pt2\").";

struct Format {
  std::string_view magic;
  std::size_t offset;
  const char* what;
  const char* hint;
};

constexpr Format kFormats[] = {
    {"ET"sv, 4, "an ExecuTorch program, not an exported program", kOnlyPyTorch},
    {"GGUF"sv, 0, "a GGUF file (llama.cpp's), not an exported program", kOnlyPyTorch},
    {"TFL3"sv, 4, "a TensorFlow Lite model, not an exported program", kOnlyPyTorch},
    {"\x89HDF\r\n"sv, 0, "an HDF5 file (a Keras model?), not an exported program", kOnlyPyTorch},
    {"\x93NUMPY"sv, 0, "a NumPy array, not an exported program", kHowToExport},
    {"\x7f"
     "ELF"sv,
     0, "a shared library, not an exported program",
     "A model plugin is named by [model] plugin; a plugin with layers by [plugins] files."},
    {"\x1f\x8b"sv, 0, "a gzip archive, not an exported program", "Unpack it first."},
    {"version https://git-lfs"sv, 0, "a pointer of Git LFS, not the file itself",
     "Fetch the file: git lfs pull."},
    {"\x80"sv, 0, "a Python pickle (an old torch.save file), which is never read", kPickleHint},
};

// A safetensors file starts with its header's length and the header's brace.
bool is_safetensors(std::string_view bytes) {
  if (bytes.size() < 9 || bytes[8] != '{') return false;
  std::uint64_t header = 0;
  for (std::size_t index = 8; index-- > 0;) {
    header = header << 8 | static_cast<unsigned char>(bytes[index]);
  }
  return header <= bytes.size() - 8;
}

// An ONNX model is a protobuf message without a magic: field 1, the format's version, is a small
// number, and a text or message of field 2 to 8 follows (the producer's name, as a rule).
bool is_onnx(std::string_view bytes) {
  if (bytes.size() < 4 || bytes[0] != 0x08 || bytes[1] < 1 || bytes[1] > 30) return false;
  const unsigned field = static_cast<unsigned char>(bytes[2]) >> 3U;
  const unsigned wire_type = static_cast<unsigned char>(bytes[2]) & 7U;
  return field >= 2 && field <= 8 && wire_type == 2;
}

[[noreturn]] void refuse(const std::string& location, const std::string& what, const char* hint) {
  throw Error{{.stage = Stage::kModel, .message = what, .hint = hint, .location = location}};
}

}  // namespace

void refuse_foreign_file(std::string_view bytes, const std::string& location) {
  if (bytes.empty()) refuse(location, "the file is empty", kHowToExport);
  if (bytes.starts_with("PK\x03\x04")) return;
  for (const Format& format : kFormats) {
    if (bytes.size() > format.offset && bytes.substr(format.offset).starts_with(format.magic)) {
      refuse(location, std::string("this is ") + format.what, format.hint);
    }
  }
  if (const ForeignContent content = foreign_content(bytes); content.what != nullptr) {
    refuse(location, std::string("this is ") + content.what, content.hint);
  }
  if (is_safetensors(bytes)) {
    refuse(
        location, "this is a safetensors file: weights only, not an exported program",
        "Export the model, and give this file as [model] weights if it is to have other weights. "
        "torch.export.save(torch.export.export(model, args), \"model.pt2\").");
  }
  if (is_onnx(bytes)) {
    refuse(location, "this is an ONNX model, not an exported program", kOnlyPyTorch);
  }
  refuse(location, "this is not an exported program: it is not a zip archive", kHowToExport);
}

}  // namespace tenon
