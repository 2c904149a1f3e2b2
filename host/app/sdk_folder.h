#pragma once

#include <filesystem>

namespace tenon {

// The include folder of the SDK that stands beside this program: installed, or in the tree that it
// was built from; "PREFIX/include" where there is none.
std::filesystem::path sdk_folder();

}  // namespace tenon
