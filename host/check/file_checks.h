#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "check/rules.h"

namespace tenon {

struct FileFacts {
  std::string id;
  std::string version;
  std::string abi;  // "0.1"
  std::string sdk_version;
};

// The rules that need only the bytes of the file; `facts` are filled if the stamp could be read.
// The first that fails of library, stamp and abi-version leaves nothing to try after it.
Findings check_file(std::span<const std::byte> file, FileFacts& facts);

}  // namespace tenon
