#pragma once

#include <cstddef>
#include <filesystem>

#include "base/descriptor.h"

namespace tenon {

// A file that lies in memory and in no folder, for readers that map files. Gone with this object
// and the last mapping.
class MemoryFile {
 public:
  // A copy of these bytes. Throws Error{kModel}.
  MemoryFile(const void* data, std::size_t size);

  std::filesystem::path path() const;

 private:
  Descriptor file_;
};

}  // namespace tenon
