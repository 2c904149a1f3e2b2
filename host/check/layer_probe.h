#pragma once

#include <tenon/plugin.h>

#include <string>

namespace tenon {

// A plugin's table with only the named layer type, whose functions are watched: each is handed the
// probe's host table and handles that are told apart after the call. Valid until exit; one for a
// process, since the C interface hands no context to its functions.
tenon_plugin watch_layer(const tenon_plugin& plugin, const std::string& layer_id);
// The same without its forward: the host then runs the base with the merged weights.
tenon_plugin watch_merging(const tenon_plugin& plugin, const std::string& layer_id);

}  // namespace tenon
