// trainer_state.json and trainer_state.safetensors: FORMAT.md describes each key.
#include "adapter/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/safetensors.h"
#include "model/tensor_file.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStateFile = "trainer_state.json";
constexpr const char* kStateTensors = "trainer_state.safetensors";
constexpr std::string_view kCheckpointPrefix = "checkpoint-";
constexpr std::int64_t kStateFormat = 1;

[[noreturn]] void fail_checkpoint(const fs::path& place, const std::string& message) {
  throw Error({.stage = Stage::kAdapter,
               .message = message,
               .hint = "go on from another checkpoint: --resume DIR",
               .location = place.string()});
}

OrderedJson best_json(const BestValue::State& best) {
  if (!best.value) return nullptr;
  // JSON has no infinity, which a metric may be.
  const OrderedJson value = std::isfinite(*best.value) ? OrderedJson(*best.value)
                                                       : OrderedJson(std::to_string(*best.value));
  return {{"value", value}, {"step", best.step}, {"worse", best.worse}};
}

OrderedJson state_json(const Checkpoint& checkpoint, const std::string& tensors_sha256) {
  const TrainingState& state = checkpoint.state;
  const TrainingOrigin& origin = checkpoint.origin;
  const Plateau::State& plateau = state.plateau;
  return {{"format", kStateFormat},
          {"step", state.step},
          {"epoch", state.epoch},
          {"best", best_json(state.best)},
          {"position",
           {{"epoch", state.position.epoch},
            {"batch", state.position.batch},
            {"rows", state.position.rows},
            {"together", state.position.together}}},
          {"processes", origin.processes},
          {"batches_skipped", state.batches_skipped},
          {"losses_logged", state.losses_logged},
          {"has_moved", state.has_moved},
          {"went_negative", state.went_negative},
          {"plateau",
           {{"best", plateau.best ? OrderedJson(*plateau.best) : OrderedJson(nullptr)},
            {"bad", plateau.bad},
            {"cooldown", plateau.cooldown},
            {"reductions", plateau.reductions}}},
          {"config", origin.config},
          {"data", origin.data},
          {"base", origin.base},
          {"plugins", origin.plugins},
          {"threads", origin.threads},
          {"libtorch", origin.libtorch},
          {"tenon", origin.tenon},
          {"logs", checkpoint.logs},
          {"sha256", {{kStateTensors, tensors_sha256}}}};
}

// Paths need not be UTF-8, which JSON is.
std::string json_text(const OrderedJson& json, int indent) {
  return json.dump(indent, ' ', false, OrderedJson::error_handler_t::replace);
}

// Of all that it holds but its own hash, so that what was changed by hand is told.
std::string own_hash(OrderedJson json) {
  json.at("sha256").erase(std::string(kStateFile));
  return sha256_hex(json_text(json, -1));
}

using Texts = std::map<std::string, std::string>;

void read_best(const OrderedJson& json, BestValue::State& best) {
  if (json.is_null()) return;
  const OrderedJson& value = json.at("value");
  best.value = value.is_string() ? std::strtod(value.get<std::string>().c_str(), nullptr)
                                 : value.get<double>();
  best.step = json.at("step").get<std::int64_t>();
  best.worse = json.at("worse").get<std::int64_t>();
}

void read_plateau(const OrderedJson& json, Plateau::State& plateau) {
  if (!json.at("best").is_null()) plateau.best = json.at("best").get<double>();
  plateau.bad = json.at("bad").get<std::int64_t>();
  plateau.cooldown = json.at("cooldown").get<std::int64_t>();
  plateau.reductions = json.at("reductions").get<std::int64_t>();
}

void read_state(const OrderedJson& json, Checkpoint& checkpoint) {
  TrainingState& state = checkpoint.state;
  TrainingOrigin& origin = checkpoint.origin;
  state.step = json.at("step").get<std::int64_t>();
  state.epoch = json.at("epoch").get<double>();
  state.position.epoch = json.at("position").at("epoch").get<std::int64_t>();
  state.position.batch = json.at("position").at("batch").get<std::int64_t>();
  state.position.rows = json.at("position").value("rows", state.position.rows);
  state.position.together = json.at("position").value("together", state.position.together);
  origin.processes = json.value("processes", origin.processes);
  state.batches_skipped = json.at("batches_skipped").get<std::int64_t>();
  state.losses_logged = json.at("losses_logged").get<std::int64_t>();
  state.has_moved = json.at("has_moved").get<bool>();
  state.went_negative = json.at("went_negative").get<bool>();
  read_best(json.at("best"), state.best);
  origin.config = json.at("config").get<Texts>();
  read_plateau(json.at("plateau"), state.plateau);
  origin.data = json.at("data").get<Texts>();
  origin.base = json.at("base").get<std::string>();
  origin.plugins = json.at("plugins").get<Texts>();
  origin.threads = json.at("threads").get<std::int64_t>();
  origin.libtorch = json.at("libtorch").get<std::string>();
  origin.tenon = json.at("tenon").get<std::string>();
  checkpoint.logs = json.at("logs").get<std::map<std::string, std::int64_t>>();
}

void check_format(const OrderedJson& json, const fs::path& file) {
  const std::int64_t format = json.at("format").get<std::int64_t>();
  if (format == kStateFormat) return;
  throw Error({.stage = Stage::kAdapter,
               .message = "the training's state is of format " + std::to_string(format) +
                          ", and this tenon knows " + std::to_string(kStateFormat),
               .hint = "go on with the tenon that saved it, or update tenon",
               .location = file.string()});
}

// The tensors are copied out of the file, which a later checkpoint may take the place of.
NamedTensors read_state_tensors(const fs::path& file, const std::string& sha256) {
  const SafetensorsFile tensors(file, Stage::kAdapter);
  if (sha256_hex(tensors.mapping()->bytes()) != sha256) {
    fail_checkpoint(file, "this is not the file that trainer_state.json was saved with");
  }
  NamedTensors copies = tensors_of(tensors);
  for (auto& [name, tensor] : copies) tensor = tensor.clone();
  return copies;
}

}  // namespace

std::string checkpoint_name(std::int64_t step) {
  return std::string(kCheckpointPrefix) + std::to_string(step);
}

bool is_checkpoint(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / kStateFile, ignored);
}

std::vector<CheckpointPlace> checkpoints_in(const fs::path& folder) {
  std::vector<CheckpointPlace> places;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(kCheckpointPrefix) || !is_checkpoint(entry->path())) continue;
    CheckpointPlace place{entry->path()};
    const char* const last = name.data() + name.size();
    const auto read = std::from_chars(name.data() + kCheckpointPrefix.size(), last, place.step);
    if (read.ec == std::errc() && read.ptr == last) places.push_back(std::move(place));
  }
  std::ranges::sort(places, {}, &CheckpointPlace::step);
  return places;
}

std::vector<FolderFile> checkpoint_files(const Checkpoint& checkpoint) {
  return {{kStateTensors,
           [&](const fs::path& path) { write_tensor_file(path, checkpoint.state.tensors); }},
          {kStateFile, [&](const fs::path& path) {
             const MappedFile tensors(path.parent_path() / kStateTensors, Stage::kOutput);
             OrderedJson json = state_json(checkpoint, sha256_hex(tensors.bytes()));
             json["sha256"][kStateFile] = own_hash(json);
             write_file(path, json_text(json, 2) + "\n");
           }}};
}

Checkpoint load_checkpoint(const fs::path& folder) {
  const fs::path file = folder / kStateFile;
  if (!is_checkpoint(folder)) {
    fail_checkpoint(folder,
                    fs::exists(folder)
                        ? "this is no checkpoint of a training: it has no trainer_state.json"
                        : "there is no such folder");
  }
  const std::string text = read_text_file(file, Stage::kAdapter);
  const OrderedJson json = parse_ordered_json(
      text,
      {.stage = Stage::kAdapter, .message = "the training's state", .location = file.string()});
  Checkpoint checkpoint;
  checkpoint.folder = folder;
  std::string sha256;
  bool is_changed = false;
  try {
    check_format(json, file);
    read_state(json, checkpoint);
    sha256 = json.at("sha256").at(kStateTensors).get<std::string>();
    const auto own = json.at("sha256").find(kStateFile);  // since it is kept
    is_changed = own != json.at("sha256").end() && own->get<std::string>() != own_hash(json);
  } catch (const nlohmann::json::exception&) {
    fail_checkpoint(file,
                    "this is no training's state: a key that it must have is missing or "
                    "holds something else");
  }
  if (is_changed) fail_checkpoint(file, "this was changed after it was saved");
  checkpoint.state.tensors = read_state_tensors(folder / kStateTensors, sha256);
  return checkpoint;
}

}  // namespace tenon
