#include "adapter/adapter_folder.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "adapter/adapter_store.h"
#include "adapter/checkpoint.h"
#include "base/error.h"
#include "base/output_folder.h"
#include "base/suggest.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_output(const fs::path& place, const std::string& message,
                              const std::string& hint) {
  throw Error(
      {.stage = Stage::kOutput, .message = message, .hint = hint, .location = place.string()});
}

void check_status(const std::error_code& status, const fs::path& place, const std::string& what) {
  if (status) fail_output(place, what + ": " + status.message(), "");
}

// The folder itself or the nearest one above it that is there.
fs::path nearest_existing(const fs::path& folder) {
  fs::path place = fs::absolute(folder);
  while (!fs::exists(fs::symlink_status(place)) && place != place.parent_path()) {
    place = place.parent_path();
  }
  return place;
}

[[noreturn]] void fail_load(const fs::path& folder, const std::string& message,
                            const std::string& hint) {
  throw Error(
      {.stage = Stage::kAdapter, .message = message, .hint = hint, .location = folder.string()});
}

}  // namespace

std::vector<std::string> adapters_inside(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (is_checkpoint(entry.path())) continue;
    if (fs::exists(entry.path() / kConfigFile, ignored)) names.push_back(entry.path().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

void check_output_folder(const fs::path& folder, bool force) {
  const fs::path place = nearest_existing(folder);
  std::error_code status;
  if (!fs::is_directory(place, status)) {
    fail_output(place, "the adapter cannot be saved here: this is not a folder",
                "give another folder as `directory` in [output]");
  }
  if (::access(place.c_str(), W_OK | X_OK) != 0) {
    fail_output(place, "the adapter cannot be saved here: the folder is not writable",
                "change its permissions, or give another folder as `directory` in [output]");
  }
  for (const char* name : {kTensorFile, kRecordFile, kConfigFile}) {
    if (fs::exists(folder / name, status) && !fs::is_regular_file(folder / name, status)) {
      fail_output(folder / name, "the adapter cannot be saved here: this is not a regular file",
                  "give another folder as `directory` in [output]");
    }
  }
  if (force || !fs::exists(folder, status)) return;
  const bool unused = is_unused_folder(folder, status);
  check_status(status, folder, "the folder cannot be read");
  if (!unused) {
    fail_output(folder, "the adapter cannot be saved here: the folder is not empty",
                "give another folder as `directory` in [output], or say `force = true` there or "
                "--force to write over it");
  }
}

void require_adapter_config(const fs::path& folder) {
  std::error_code ignored;
  if (fs::is_regular_file(current_file(folder, kConfigFile), ignored)) return;
  std::string hint =
      "an adapter is a folder with adapter_config.json and adapter_model.safetensors, as `tenon "
      "run` and PEFT's save_pretrained make it";
  const std::vector<std::string> inside = adapters_inside(folder);
  if (!inside.empty()) hint = "there are adapters in " + join(inside);
  if (fs::is_regular_file(folder, ignored)) {
    hint =
        "this is a file, an adapter is a folder; one of kohya or diffusers becomes one by "
        "`tenon adapter convert CONFIG --from kohya|diffusers --adapter FILE --output DIR`";
  }
  fail_load(folder, "Can't find 'adapter_config.json' at '" + folder.string() + "'", hint);
}

void require_adapter_tensors(const fs::path& folder) {
  std::error_code ignored;
  if (fs::is_regular_file(current_file(folder, kTensorFile), ignored)) return;
  if (fs::exists(folder / "adapter_model.bin", ignored)) {
    fail_load(
        folder,
        "the tensors are in adapter_model.bin, a Python pickle, which can run code when it is "
        "read; Tenon reads only adapter_model.safetensors",
        "load it with PEFT and save it again: model.save_pretrained(folder)");
  }
  fail_load(folder, "Can't find 'adapter_model.safetensors' at '" + folder.string() + "'",
            "the copy is incomplete: copy the whole folder again");
}

}  // namespace tenon
