#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "plugin/declared_options.h"

namespace tenon {

// The keys of one method in [adapter].
struct MethodKeys {
  std::string method;
  std::vector<DeclaredOption> keys;
};

// A JSON Schema (draft 7) of a config file, by which editors complete and check it: all sections
// with their keys, types, bounds, choices, defaults and what configs/README.md says of them. It
// takes what `tenon run` takes, but for rules among several keys and for what the model decides.
// `losses` are those of plugins, beside the host's own.
nlohmann::ordered_json config_schema(const std::vector<MethodKeys>& methods,
                                     const std::vector<std::string>& losses);

}  // namespace tenon
