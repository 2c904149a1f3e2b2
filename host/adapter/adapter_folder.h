#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tenon {

// The files of an adapter (FORMAT.md).
constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kTensorFile = "adapter_model.safetensors";
constexpr const char* kRecordFile = "tenon.json";

// A fresh folder inside `folder`, in which a new adapter is written whole before it replaces the
// old one. Removed with what is left in it.
class StagingFolder {
 public:
  explicit StagingFolder(const std::filesystem::path& folder);
  ~StagingFolder();
  StagingFolder(const StagingFolder&) = delete;
  StagingFolder& operator=(const StagingFolder&) = delete;

  std::filesystem::path operator/(const char* name) const { return path_ / name; }
  // Moves the file out into the folder, over an older one of that name.
  void publish(const char* name) const;

 private:
  std::filesystem::path folder_;
  std::filesystem::path path_;
};

// The folders inside `folder` that hold adapters: PEFT saves every one but "default" in a folder of
// its name.
std::vector<std::string> adapters_inside(const std::filesystem::path& folder);

// Throws Error{Stage::kAdapter} unless `folder` holds an adapter's config.
void require_adapter_config(const std::filesystem::path& folder);
// Throws Error{Stage::kAdapter} unless `folder` holds tensors in a file that is safe to read.
void require_adapter_tensors(const std::filesystem::path& folder);

}  // namespace tenon
