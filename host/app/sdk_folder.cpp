#include "app/sdk_folder.h"

#include <system_error>

namespace tenon {
namespace fs = std::filesystem;

fs::path sdk_folder() {
  std::error_code failed;
  const fs::path program = fs::read_symlink("/proc/self/exe", failed).parent_path();
  for (const char* place : {"../include", "../../sdk/include"}) {
    const fs::path folder = (program / place).lexically_normal();
    if (fs::exists(folder / "tenon/sdk.hpp")) return folder;
  }
  return "PREFIX/include";
}

}  // namespace tenon
