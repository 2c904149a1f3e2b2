#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace tenon {

// What a run's folder tells of it (run_log.h, run_record.h).
struct ReportedRun {
  std::string name;  // of its folder
  // By the name of what was measured, the steps and values in their order.
  std::map<std::string, std::vector<std::pair<double, double>>> curves;
  std::string record;  // run.json, or "" for a run that did not end
};

// Reads log.jsonl and run.json. Throws Error{kAdapter} where there is no log.
ReportedRun read_reported_run(const std::filesystem::path& folder);

// One page that needs nothing else: no network, no script.
std::string report_page(const std::vector<ReportedRun>& runs);

}  // namespace tenon
