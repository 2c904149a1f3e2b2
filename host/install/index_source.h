#pragma once

#include <string>

#include "index/host_fit.h"
#include "index/signed_index.h"
#include "install/install_plugins.h"

namespace tenon {

// Fetches an index and takes it if its key is trusted and it is not older than before; from then on
// it is known. `url` is index_address(...). Throws Error{kPlugins}.
SignedIndex use_index(const std::string& url);

// "acme.fancy" or "acme.fancy@1.2.0": what of the index is meant. Throws Error{kPlugins} for what
// it does not have, and where no version of it runs here, with why.
struct IndexChoice {
  const IndexedPlugin* plugin;
  const IndexedFile* file;
};
IndexChoice choose(const PluginIndex& index, const std::string& url, const std::string& wanted);

// Fetches a plugin's file and checks it: it is the one that was signed, it breaks no rule, and it
// is what the index says.
WantedPlugin fetch_plugin(const SignedIndex& index, const std::string& url,
                          const IndexChoice& choice);

}  // namespace tenon
