#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "adapter/adapter_store.h"

namespace tenon {

// The keys of the tensors that hold NaN or infinity, in the order of `files`.
std::vector<std::string> broken_tensors(const AdapterFiles& files);

// Warns of them, naming the first: such an adapter runs, and whatever it touches becomes NaN.
void warn_of_broken_tensors(const AdapterFiles& files, const std::filesystem::path& folder);

}  // namespace tenon
