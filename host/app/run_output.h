#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "adapted/adapted_model.h"
#include "app/command_line.h"
#include "base/output_folder.h"
#include "config/run_config.h"

namespace tenon {

// How a training ended.
// kChanged: of what it read, something was changed meanwhile.
enum class Ending { kWhole, kInterrupted, kDiverged, kChanged };

// Where `tenon run` saves: checked before anything is loaded, and an adapter's folder is this
// process's until the end. What a training made is not lost: where it cannot be saved in its place
// it goes to another that is named. What was there is replaced only by a training that went well.
class RunOutput {
 public:
  // Throws Error{kConfig} for a place that the command reads, Error{kOutput} for one that cannot be
  // written, or is taken and not to be replaced.
  // With `resumes` the place holds what an earlier part of this run made, which goes.
  // Without `writes` it is another process that saves, and nothing is done here.
  RunOutput(const CommandLine& line, const RunConfig& config, bool resumes, bool writes = true);

  bool writes() const { return writes_; }

  // Before the training. Throws Error{kOutput}.
  void require_room(const AdaptedModel& model) const;

  // Saves the adapters, or with `full` the whole model, and returns where: in a place beside, where
  // the training did not go well and something whole would be lost. Throws Error{kOutput} that says
  // in which other place it was saved, where it could not be saved as wanted.
  std::filesystem::path save(const AdaptedModel& model, Ending ending);

  // The run's folder (resume.h), this process's from now on.
  OutputFolder& folder();
  // What is trained, as files of a folder inside that one.
  std::vector<FolderFile> model_files(const AdaptedModel& model) const;

  // The place as the user named it.
  const std::filesystem::path& wanted() const { return place_; }

 private:
  void write(const AdaptedModel& model, const std::filesystem::path& place, bool is_wanted);

  bool writes_;
  bool full_;
  bool force_;
  bool replaces_ = false;  // something is there that a good training replaces
  std::filesystem::path place_;
  std::filesystem::path run_folder_;
  std::unique_ptr<OutputFolder> folder_;  // with `full`, once something is written to it
};

}  // namespace tenon
