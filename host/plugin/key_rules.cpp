#include "plugin/key_rules.h"

#include <string>
#include <vector>

#include "base/printable.h"
#include "base/suggest.h"
#include "plugin/declared_value.h"
#include "plugin/handles.h"
#include "plugin/host_fence.h"

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

tenon_status refuse_word(tenon_keys* keys, const char* key, const char* text, const char* word,
                         const char* const* known, std::uint32_t n_known, tenon_error* error) {
  return fenced(error, [&] {
    const std::vector<std::string> candidates(known, known + n_known);
    const std::string suggestion = did_you_mean(word, candidates);
    keys->problems.push_back(
        {printable_excerpt(key, kMostRefusal),
         printable_excerpt(suggestion.empty() ? text : std::string(text) + "; " + suggestion,
                           kMostRefusal)});
    return static_cast<tenon_status>(TENON_OK);
  });
}

tenon_status replace_key(tenon_keys* keys, const char* key, const tenon_value* value,
                         tenon_error* error) {
  return fenced(error,
                [&] { return put_declared(*keys->declared, key, *value, keys->replaced, error); });
}

}  // namespace

const tenon_keys_host& keys_host() {
  static const tenon_keys_host table{sizeof(tenon_keys_host), 0, refuse, replace_key, refuse_word};
  return table;
}

}  // namespace tenon
