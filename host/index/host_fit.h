#pragma once

#include <string>

#include "index/plugin_index.h"

namespace tenon {

// What this program is to a plugin.
struct HostFacts {
  std::string platform;  // "linux-x86_64"
  std::string abi;       // "1.2"
  std::string libtorch;  // "2.13.0+cpu"
};

HostFacts this_host();

// Why a file of an index cannot run here; "" if it can.
std::string find_misfit(const IndexedFile& file, const HostFacts& host);

// The newest version that runs here, or the one that was asked for; nullptr if there is none.
const IndexedFile* newest_fitting(const IndexedPlugin& plugin, const HostFacts& host,
                                  const std::string& version = "");

}  // namespace tenon
