#include "plugin/key_rules.h"

#include <algorithm>
#include <string>

#include "base/printable.h"
#include "plugin/handles.h"
#include "plugin/host_fence.h"
#include "plugin/option_values.h"

namespace tenon {
namespace {

constexpr std::size_t kMostRefusal = 2000;

tenon_status refuse(tenon_keys* keys, const char* key, const char* text, tenon_error* error) {
  return fenced(error, [&] {
    keys->problems.push_back(
        {printable_excerpt(key, kMostRefusal), printable_excerpt(text, kMostRefusal)});
    return static_cast<tenon_status>(TENON_OK);
  });
}

tenon_status replace_key(tenon_keys* keys, const char* key, const tenon_value* value,
                         tenon_error* error) {
  return fenced(error, [&] {
    const auto declared =
        std::ranges::find(*keys->declared, std::string(key), &DeclaredOption::key);
    if (declared == keys->declared->end()) {
      return set_failure(error, TENON_INVALID_ARGUMENT,
                         "the method has no key `" + std::string(key) + "`");
    }
    std::vector<OptionProblem> problems;
    const OptionTable fitting =
        complete_options({&*declared, 1}, {{key, to_option(*value)}}, problems);
    if (!problems.empty()) {
      return set_failure(error, TENON_INVALID_ARGUMENT,
                         "`" + problems.front().key + "` " + problems.front().text);
    }
    keys->replaced.insert_or_assign(key, fitting.at(key));
    return static_cast<tenon_status>(TENON_OK);
  });
}

}  // namespace

const tenon_keys_host& keys_host() {
  static const tenon_keys_host table{sizeof(tenon_keys_host), 0, refuse, replace_key};
  return table;
}

}  // namespace tenon
