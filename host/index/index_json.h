#pragma once

#include "base/json.h"
#include "index/plugin_index.h"

namespace tenon {

// Every field but those that say what to leave out is required; a field of a later Tenon is passed
// over. Names of files are names alone, ids and versions are such. Throws Error(`context`), whose
// message is the subject of what is wrong.
PluginIndex read_index(const Json& json, const Failure& context);
Json index_json(const PluginIndex& index);

}  // namespace tenon
