#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/event_record.h"
#include "base/growing_file.h"
#include "train/trainer.h"

namespace tenon {

// What a run writes down of itself, in a folder: log.jsonl, an object a line, log.csv, and event
// files of TensorBoard. A run that goes on cuts them to where its checkpoint stood, and its log.csv
// keeps its columns; what has none is in the others alone.
class RunLog {
 public:
  using Sizes = std::map<std::string, std::int64_t>;

  // `measures`: names of what evaluations measure, for the columns. `config`: text of the config
  // file. `from`: the sizes at the checkpoint that the run goes on from; empty for a new run.
  // Throws Error{kOutput}.
  RunLog(const std::filesystem::path& folder, const std::vector<std::string>& measures,
         const std::string& config, const Sizes& from);

  // From now on each logged step has these beside its numbers, for TensorBoard.
  void watch(std::function<std::map<std::string, Histogram>()> weights) {
    weights_ = std::move(weights);
  }
  // One step's numbers, where it is one that is logged.
  void add(const StepProgress& progress);
  void add(std::int64_t step, double epoch, const Measures& measures);
  // run.json, when the run is over.
  void end(const std::string& record) const;
  // What is written so far is on the disk; how much of each file that is.
  Sizes sizes();

 private:
  using Clock = std::chrono::steady_clock;
  using Fields = std::vector<std::pair<std::string, double>>;
  void write(std::int64_t step, double epoch, const Fields& fields);

  std::filesystem::path folder_;
  std::vector<std::string> columns_;
  std::string event_file_;  // its name in the folder
  GrowingFile lines_, table_, events_;
  std::function<std::map<std::string, Histogram>()> weights_;
  Clock::time_point since_ = Clock::now();
  std::int64_t rows_ = 0;  // since the last line
  std::int64_t tokens_ = 0;
};

// Whether a folder holds nothing but what runs log: a run that was killed before it saved anything.
bool holds_only_logs(const std::filesystem::path& folder);

}  // namespace tenon
