#include "app/run_log.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/suggest.h"
#include "base/temporary_files.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLines = "log.jsonl";
constexpr const char* kTable = "log.csv";
constexpr const char* kEvents = "tensorboard";
constexpr const char* kRecord = "run.json";

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

double resident_megabytes() {
  std::ifstream facts("/proc/self/statm");
  double pages = 0;
  facts >> pages >> pages;
  return pages * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

std::int64_t size_at(const RunLog::Sizes& sizes, const std::string& name) {
  const auto found = sizes.find(name);
  return found == sizes.end() ? 0 : found->second;
}

std::string new_event_file() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  std::string name = std::string(kEvents) + "/events.out.tfevents." +
                     std::to_string(static_cast<std::int64_t>(seconds_now())) + ".";
  for (const char* part = host.data(); *part != '\0'; ++part) name += *part == '/' ? '-' : *part;
  return name + "." + std::to_string(::getpid()) + ".0";
}

// That which the run goes on with. Other runs' are of other curves, which TensorBoard would draw
// into these.
std::string settle_event_file(const fs::path& folder, const RunLog::Sizes& from) {
  std::string name = new_event_file();
  for (const auto& [known, size] : from) {
    if (known.starts_with(kEvents)) name = known;
  }
  std::error_code failed;
  fs::create_directories(folder / kEvents, failed);
  if (failed) {
    throw Error({.stage = Stage::kOutput,
                 .message = "the logs cannot be written here: " + failed.message(),
                 .location = (folder / kEvents).string()});
  }
  for (const auto& entry : fs::directory_iterator(folder / kEvents, failed)) {
    const std::string other = std::string(kEvents) + "/" + entry.path().filename().string();
    if (other != name && other.find("tfevents") != std::string::npos) {
      fs::remove(entry.path(), failed);
    }
  }
  return name;
}

// The table's columns: those that it begins with where the run goes on, since a table has one
// header.
std::vector<std::string> settle_columns(const fs::path& table, std::int64_t kept,
                                        const std::vector<std::string>& measures) {
  std::vector<std::string> columns = {"step",
                                      "epoch",
                                      "loss",
                                      "learning_rate",
                                      "grad_norm",
                                      "rows_per_second",
                                      "tokens_per_second",
                                      "memory_mb"};
  for (const std::string& name : measures) columns.push_back("eval_" + name);
  std::ifstream file(table);
  std::string header;
  if (kept == 0 || !std::getline(file, header)) return columns;
  std::vector<std::string> known;
  std::istringstream names(header);
  for (std::string name; std::getline(names, name, ',');) known.push_back(name);
  std::erase_if(columns, [&](const auto& name) { return std::ranges::count(known, name) > 0; });
  if (!columns.empty()) {
    log::warning("log.csv keeps the columns that it began with, which " + join(columns) +
                 " is not among: log.jsonl has it");
  }
  return known;
}

std::string number_text(double value) {
  return std::isfinite(value) ? nlohmann::json(value).dump() : "";
}

}  // namespace

RunLog::RunLog(const fs::path& folder, const std::vector<std::string>& measures,
               const std::string& config, const Sizes& from)
    : folder_(folder),
      columns_(settle_columns(folder / kTable, size_at(from, kTable), measures)),
      event_file_(settle_event_file(folder, from)),
      lines_(folder / kLines, size_at(from, kLines)),
      table_(folder / kTable, size_at(from, kTable)),
      events_(folder / event_file_, size_at(from, event_file_)) {
  if (table_.size() == 0) {
    std::string header;
    for (const std::string& column : columns_) header += (header.empty() ? "" : ",") + column;
    table_.add(header + "\n");
  }
  if (events_.size() == 0) {
    events_.add(event_file_start(seconds_now()));
    events_.add(text_record(seconds_now(), 0, "config", "```toml\n" + config + "\n```"));
  }
}

void RunLog::add(const StepProgress& progress) {
  rows_ += progress.rows;
  tokens_ += progress.tokens;
  if (!progress.is_logged) return;
  const double seconds = std::chrono::duration<double>(Clock::now() - since_).count();
  Fields fields = {{"loss", progress.mean_loss}, {"learning_rate", progress.learning_rate}};
  if (progress.grad_norm) fields.emplace_back("grad_norm", *progress.grad_norm);
  fields.emplace_back("rows_per_second", static_cast<double>(rows_) / seconds);
  if (tokens_ > 0) {
    fields.emplace_back("tokens_per_second", static_cast<double>(tokens_) / seconds);
  }
  fields.emplace_back("memory_mb", resident_megabytes());
  write(progress.step, progress.epoch, fields);
  if (weights_) events_.add(histogram_record(seconds_now(), progress.step, weights_()));
  rows_ = tokens_ = 0;
  since_ = Clock::now();
}

void RunLog::add(std::int64_t step, double epoch, const Measures& measures) {
  Fields fields;
  for (const auto& [name, value] : measures) fields.emplace_back("eval_" + name, value);
  write(step, epoch, fields);
}

void RunLog::write(std::int64_t step, double epoch, const Fields& fields) {
  nlohmann::ordered_json line = {{"step", step}, {"epoch", epoch}};
  std::map<std::string, double> scalars;
  for (const auto& [name, value] : fields) {
    line[name] = value;  // what is not finite is null
    scalars[(name.starts_with("eval_") ? "eval/" + name.substr(5) : "train/" + name)] = value;
  }
  lines_.add(line.dump() + "\n");
  std::string row = std::to_string(step) + "," + number_text(epoch);
  for (std::size_t i = 2; i < columns_.size(); ++i) {
    const auto field =
        std::ranges::find(fields, columns_[i], [](const auto& f) { return f.first; });
    row += "," + (field == fields.end() ? "" : number_text(field->second));
  }
  table_.add(row + "\n");
  events_.add(scalar_record(seconds_now(), step, scalars));
}

void RunLog::end(const std::string& record) const { write_file(folder_ / kRecord, record); }

RunLog::Sizes RunLog::sizes() {
  Sizes sizes;
  for (const auto& [name, file] : {std::pair<std::string, GrowingFile*>{kLines, &lines_},
                                   {kTable, &table_},
                                   {event_file_, &events_}}) {
    file->sync();
    sizes[name] = file->size();
  }
  return sizes;
}

bool holds_only_logs(const fs::path& folder) {
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string name = entry->path().filename().string();
    if (name != kLines && name != kTable && name != kEvents && name != kRecord &&
        !is_random_name(name))
      return false;
  }
  return !failed;
}

}  // namespace tenon
