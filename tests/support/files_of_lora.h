#pragma once

#include <string>

#include "operations/adapter_stages.h"
#include "support/lora_model.h"

namespace tenon::testing {

inline const MethodTable& methods() { return built_in_plugins().methods(); }

// What the folder of one of its adapters would hold.
inline AdapterFiles files_of(const LoraModel& made, const std::string& adapter) {
  AdapterFiles files = adapter_files(made.model, made.model.adapter(adapter));
  files.config.name = adapter;
  return files;
}

}  // namespace tenon::testing
