#pragma once

#include <string_view>

namespace tenon {

// What a file that should hold something else is by its first bytes, and what to do.
struct ForeignContent {
  const char* what = nullptr;  // "a pointer of Git LFS, not the file itself"; nullptr if unknown
  const char* hint = "";
};

// Files that people give for tensors or text: web pages, Git LFS pointers, pickles, archives.
ForeignContent foreign_content(std::string_view bytes);

}  // namespace tenon
