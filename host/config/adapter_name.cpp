#include "config/adapter_name.h"

namespace tenon {

std::string adapter_name_problem(const std::string& name) {
  if (name.empty()) return "must not be empty";
  if (name == "__base__") return "must not be `__base__`, which stands for no adapter";
  if (name.find_first_of("./\\") == std::string::npos) return "";
  return "must not hold a dot or a slash: `" + name + "`";
}

}  // namespace tenon
