#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "adapter/adapter_store.h"

namespace tenon {

// What PEFT's files cannot say: the base an adapter was trained on, and who made each layer.
struct TenonRecord {
  std::string base_fingerprint = {};  // "" if unknown
  // Of the bytes of the two other files; "" in format 1.
  std::string config_sha256 = {};
  std::string tensors_sha256 = {};
  std::vector<RecordedLayer> layers = {};
};

// The text of tenon.json, format 2 (FORMAT.md).
std::string write_tenon_json(const TenonRecord& record);

// `file` is for messages. Throws Error{Stage::kAdapter} with every problem: a missing or unknown
// key, a wrong type, a layer named twice, a format that this version does not know.
TenonRecord read_tenon_json(std::string_view text, const std::string& file);

}  // namespace tenon
