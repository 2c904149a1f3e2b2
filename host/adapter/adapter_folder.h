#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tenon {

// The files of an adapter (FORMAT.md).
constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kTensorFile = "adapter_model.safetensors";
constexpr const char* kRecordFile = "tenon.json";

// The folders inside `folder` that hold adapters: PEFT saves every one but "default" in a folder of
// its name.
std::vector<std::string> adapters_inside(const std::filesystem::path& folder);

// Throws Error{Stage::kAdapter} unless `folder` holds an adapter's config.
void require_adapter_config(const std::filesystem::path& folder);
// Throws Error{Stage::kAdapter} unless `folder` holds tensors in a file that is safe to read.
void require_adapter_tensors(const std::filesystem::path& folder);

}  // namespace tenon
