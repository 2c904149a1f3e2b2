#pragma once

#include <filesystem>

#include "base/descriptor.h"

namespace tenon {

// The user's plugins and trusted keys belong to one process at a time, which the others wait for.
// It lasts until it goes or its process ends, however that ends.
class StoreLock {
 public:
  // Makes the folder where it is missing. Throws Error{kOutput}.
  explicit StoreLock(const std::filesystem::path& data_folder);

 private:
  Descriptor file_;
};

}  // namespace tenon
