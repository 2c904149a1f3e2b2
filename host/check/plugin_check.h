#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "check/file_checks.h"
#include "check/rules.h"
#include "config/adapter_config.h"

namespace tenon {

struct CheckOptions {
  std::filesystem::path model;  // a .pt2 with a layer of the plugin's type; may be empty
  std::string layer;            // the path of that layer
  std::chrono::milliseconds time_limit{20000};  // of each child process
  std::string device = "cpu";                   // where the layers run
  AdapterConfig given = {};  // keys of the method and options that are tried in place of defaults
};

struct CheckReport {
  std::filesystem::path path;
  FileFacts facts;
  Findings findings;  // one for each rule, and for each rule per layer and base type

  // Whether there are layer types, losses or metrics, and none of them could be tried: what such a
  // report says of the plugin is nothing.
  bool tried_nothing() const;
  bool ok() const { return !has_failed(findings) && !tried_nothing(); }
};

// Tries a plugin by every rule. The file is never opened in this process: each test has a child
// process of its own. Throws Error only where the file or the model cannot be read.
CheckReport check_plugin(const std::filesystem::path& file, const CheckOptions& options);

}  // namespace tenon
