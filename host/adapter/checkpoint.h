#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/output_folder.h"
#include "train/training_state.h"

// Checkpoints of a training: checkpoint-N inside its output folder, an adapter's folder as ever
// with two files of the training's state beside (FORMAT.md).
namespace tenon {

// What a training was of: it can only go on with the same.
struct TrainingOrigin {
  std::map<std::string, std::string> config;   // RunConfig::values
  std::map<std::string, std::string> data;     // "data.train" -> a hash of the file or folder
  std::string base;                            // fingerprint, before anything was trained
  std::map<std::string, std::string> plugins;  // id -> SHA-256 of the file
  std::int64_t threads = 0;
  std::int64_t processes = 1;
  std::string libtorch;
  std::string tenon;
};

struct Checkpoint {
  TrainingState state;
  TrainingOrigin origin;
  std::map<std::string, std::int64_t> logs;  // name of a log file -> its bytes at this step
  std::filesystem::path folder = {};         // that it was read from
};

// A checkpoint's folder, and the step in its name.
struct CheckpointPlace {
  std::filesystem::path folder;
  std::int64_t step = 0;
};

// "checkpoint-20".
std::string checkpoint_name(std::int64_t step);
// The checkpoints in a run's folder, the oldest first.
std::vector<CheckpointPlace> checkpoints_in(const std::filesystem::path& folder);
bool is_checkpoint(const std::filesystem::path& folder);

// Its two files of the training's state. Borrows the checkpoint.
std::vector<FolderFile> checkpoint_files(const Checkpoint& checkpoint);

// Throws Error{kAdapter}: no checkpoint, damaged files, files of two checkpoints.
Checkpoint load_checkpoint(const std::filesystem::path& folder);

}  // namespace tenon
