#include "base/foreign_content.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace tenon {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::string_view magic;
  ForeignContent content;
};

constexpr Signature kSignatures[] = {
    {"version https://git-lfs"sv,
     {"a pointer of Git LFS, not the file itself", "fetch the file: git lfs pull"}},
    {"PK\x03\x04"sv,
     {"a zip archive, as torch.save writes it: a Python pickle, which can run code when it is read",
      "load it in Python, once, and save its tensors: safetensors.torch.save_file"}},
    {"\x80"sv,
     {"a Python pickle, which can run code when it is read and never is",
      "load it in Python, once, and save its tensors: safetensors.torch.save_file"}},
    {"\x1f\x8b"sv, {"a gzip archive", "unpack it first"}},
    {"\x89HDF\r\n"sv, {"an HDF5 file", "save its tensors: safetensors.torch.save_file"}},
    {"\x93NUMPY"sv, {"a NumPy array", "save its tensors: safetensors.torch.save_file"}},
    {"\xff\xfe"sv, {"text in UTF-16", "save it as UTF-8"}},
    {"\xfe\xff"sv, {"text in UTF-16", "save it as UTF-8"}},
};

bool is_web_page(std::string_view bytes) {
  constexpr std::size_t kLooked = 256;
  std::string start(bytes.substr(0, kLooked));
  start.erase(0, std::min(start.find_first_not_of(" \t\r\n\xef\xbb\xbf"), start.size()));
  std::ranges::transform(start, start.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return start.starts_with("<!doctype html") || start.starts_with("<html") ||
         start.starts_with("<head") || start.starts_with("<?xml");
}

}  // namespace

ForeignContent foreign_content(std::string_view bytes) {
  if (is_web_page(bytes)) {
    return {"a web page (HTML), not the file itself",
            "the download was answered with a page, of an error or a login as a rule; fetch the "
            "file again"};
  }
  for (const Signature& signature : kSignatures) {
    if (bytes.starts_with(signature.magic)) return signature.content;
  }
  return {};
}

}  // namespace tenon
