#include "app/run_output.h"

#include <system_error>
#include <vector>

#include "adapter/adapter_folder.h"
#include "app/command_inputs.h"
#include "app/resume.h"
#include "base/error.h"
#include "model/tensor_file.h"
#include "operations/adapter_stages.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

// Headers, configs and folders beside the tensors.
constexpr std::uint64_t kBesideTensors = std::uint64_t{1} << 20U;

NamedTensors state_of(const AdaptedModel& model) {
  NamedTensors tensors;
  for (const ModelTensor& tensor : model.base_tensors()) {
    if (tensor.kind == ValueKind::kConstant || !tensor.persistent) continue;
    tensors.emplace_back(tensor.name, tensor.tensor.detach());
    for (const std::string& alias : tensor.aliases) {
      tensors.emplace_back(alias, tensor.tensor.detach().clone());
    }
  }
  return tensors;
}

std::uint64_t bytes_to_save(const AdaptedModel& model, bool full) {
  std::uint64_t bytes = kBesideTensors;
  if (full) {
    for (const ModelTensor& tensor : model.base_tensors()) {
      bytes += tensor.tensor.nbytes() * (1 + tensor.aliases.size());
    }
    return bytes;
  }
  for (const std::string& name : model.adapter_names()) {
    for (const AddedTensor& added : model.adapter(name).tensors) bytes += added.tensor.nbytes();
  }
  return bytes;
}

// Where something goes that cannot be saved in its place: beside it, else in the folder for
// temporary files, which mostly is another disk.
std::vector<fs::path> places_of_rescue(const fs::path& place) {
  const std::string suffix = ".rescued";
  std::vector<fs::path> places = {free_place_beside(place, suffix)};
  std::error_code failed;
  const fs::path temporary = fs::temp_directory_path(failed);
  const fs::path name = place.has_filename() ? place.filename() : place.parent_path().filename();
  if (!failed) places.push_back(free_place_beside(temporary / name, suffix));
  return places;
}

const char* suffix_of(Ending ending) {
  switch (ending) {
    case Ending::kDiverged:
      return ".diverged";
    case Ending::kChanged:
      return ".unsure";
    default:
      return ".interrupted";
  }
}

}  // namespace

RunOutput::RunOutput(const CommandLine& line, const RunConfig& config, bool resumes, bool writes)
    : writes_(writes),
      full_(config.train->full),
      force_(line.force || config.output.force || resumes),
      place_(full_ ? *config.output.model : *config.output.directory),
      run_folder_(run_folder(config)) {
  if (!writes_) return;
  const std::vector<InputPath> inputs = command_inputs(line, config);
  std::error_code ignored;
  if (full_) {
    const OutputPath file{"[output] model", place_, Stage::kConfig, force_};
    require_no_input(file, inputs);
    // A file needs a folder, which stays where the run fails later.
    if (place_.has_parent_path()) fs::create_directories(place_.parent_path(), ignored);
    check_output_file(file, inputs);
    replaces_ = !resumes && fs::exists(place_, ignored);
    return;
  }
  require_no_input_in_folder({"[output] directory", place_, Stage::kConfig, force_}, inputs);
  folder_ = reserve_adapter_folder(place_, force_);
  replaces_ =
      !resumes && (fs::exists(place_ / kConfigFile, ignored) || !adapters_inside(place_).empty());
}

OutputFolder& RunOutput::folder() {
  if (!folder_) folder_ = std::make_unique<OutputFolder>(run_folder_, "the training's state");
  return *folder_;
}

std::vector<FolderFile> RunOutput::model_files(const AdaptedModel& model) const {
  if (!full_) return adapters_folder_files(model);
  return {{"model.safetensors",
           [&model](const fs::path& path) { write_tensor_file(path, state_of(model)); }}};
}

void RunOutput::require_room(const AdaptedModel& model) const {
  if (writes_) require_space(place_, bytes_to_save(model, full_));
}

void RunOutput::write(const AdaptedModel& model, const fs::path& place, bool is_wanted) {
  if (full_) {
    const bool replaced = is_wanted && force_;
    write_tensor_file(place, state_of(model), replaced ? Existing::kReplaced : Existing::kRefused);
  } else if (is_wanted) {
    save_adapters(model, *folder_);
  } else {
    save_adapters(model, place, false);
  }
}

fs::path RunOutput::save(const AdaptedModel& model, Ending ending) {
  if (!writes_) return place_;
  const bool beside = replaces_ && ending != Ending::kWhole;
  const fs::path place = beside ? free_place_beside(place_, suffix_of(ending)) : place_;
  try {
    write(model, place, !beside);
    return place;
  } catch (const Error& error) {
    Failure failure = error.failure();
    for (const fs::path& other : places_of_rescue(place_)) {
      try {
        write(model, other, false);
      } catch (const Error&) {
        continue;
      }
      failure.message += "; what was trained is saved in " + other.string() + " instead";
      throw Error(failure);
    }
    throw;
  }
}

}  // namespace tenon
