#include <iostream>

#include "app/commands.h"
#include "app/report_page.h"
#include "base/error.h"
#include "base/file.h"
#include "base/output_place.h"

namespace tenon {

void report_command(const CommandLine& line) {
  const std::filesystem::path ending = line.outputs.extension();
  if (ending != ".html" && ending != ".htm") {  // --force would replace any file by a page
    throw Error({.stage = Stage::kCommandLine,
                 .message = "--output " + line.outputs.string() + " must be a .html"});
  }
  std::vector<InputPath> inputs;
  std::vector<ReportedRun> runs;
  for (const std::filesystem::path& folder : line.reported) {
    for (const char* name : {"log.jsonl", "run.json"}) inputs.push_back({"the run", folder / name});
    runs.push_back(read_reported_run(folder));
  }
  check_output_file({"--output", line.outputs, Stage::kCommandLine, line.force}, inputs);
  write_file(line.outputs, report_page(runs),
             line.force ? Existing::kReplaced : Existing::kRefused);
  if (line.json) {
    std::cout << "{\"runs\": " << runs.size() << "}\n";
  } else if (!line.quiet) {
    std::cout << "written to " << line.outputs.string() << "\n";
  }
}

}  // namespace tenon
