#include "plugin/declared_value.h"

#include <algorithm>
#include <string>

#include "plugin/host_fence.h"
#include "plugin/option_completion.h"
#include "plugin/option_values.h"

namespace tenon {

tenon_status put_declared(const std::vector<DeclaredOption>& declared, const char* key,
                          const tenon_value& value, OptionTable& table, tenon_error* error) {
  const auto option = std::ranges::find(declared, std::string(key), &DeclaredOption::key);
  if (option == declared.end()) {
    return set_failure(error, TENON_INVALID_ARGUMENT,
                       "the method has no key `" + std::string(key) + "`");
  }
  std::vector<OptionProblem> problems;
  const OptionTable fitting = complete_options({&*option, 1}, {{key, to_option(value)}}, problems);
  if (!problems.empty()) {
    return set_failure(error, TENON_INVALID_ARGUMENT,
                       "`" + problems.front().key + "` " + problems.front().text);
  }
  table.insert_or_assign(key, fitting.at(key));
  return TENON_OK;
}

}  // namespace tenon
