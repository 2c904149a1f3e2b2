#include "app/report_page.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <system_error>

#include "app/report_chart.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --back: #fff; --text: #1c1e21; --soft: #666; --grid: #ddd;
  --c0: #1f6feb; --c1: #d1495b; --c2: #2e8b57; --c3: #b8860b; --c4: #7b4fb5; --c5: #00838f; }
@media (prefers-color-scheme: dark) {
  :root { --back: #16181c; --text: #e6e6e6; --soft: #9aa0a6; --grid: #33373d;
    --c0: #6ea8fe; --c1: #ff8b9a; --c2: #6fcf97; --c3: #e6b84c; --c4: #b794f4; --c5: #4dd0e1; } }
body { background: var(--back); color: var(--text); font: 15px/1.45 system-ui, sans-serif;
  max-width: 1120px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 1.2em; }
.runs { display: grid; grid-template-columns: repeat(auto-fit, minmax(380px, 1fr)); gap: 1.5em; }
figure { margin: 0; } figcaption { font-weight: 600; }
svg { width: 100%; height: auto; } svg text { font-size: 11px; fill: var(--soft); }
.grid { stroke: var(--grid); } .marked { stroke: var(--soft); stroke-dasharray: 2 3; }
polyline { fill: none; stroke-width: 1.8; } .dashed { stroke-dasharray: 6 4; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); }
.c3 { stroke: var(--c3); } .c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); }
.legend { color: var(--soft); font-size: 13px; }
.key { margin-right: 1.2em; } .key::before { content: ""; display: inline-block; width: 18px;
  border-top: 3px solid currentColor; margin-right: 6px; vertical-align: middle; }
.key.dashed::before { border-top-style: dashed; }
.key.c0::before { color: var(--c0); } .key.c1::before { color: var(--c1); }
.key.c2::before { color: var(--c2); } .key.c3::before { color: var(--c3); }
.key.c4::before { color: var(--c4); } .key.c5::before { color: var(--c5); }
table { border-collapse: collapse; font-size: 14px; }
td, th { padding: 3px 10px; border-bottom: 1px solid var(--grid); text-align: right; }
td:first-child, th:first-child { text-align: left; }
pre { background: color-mix(in srgb, var(--text) 6%, var(--back)); padding: 1em; overflow: auto;
  font-size: 13px; }
)";
constexpr int kColours = 6;

std::string cell(const std::string& text) { return "<td>" + html_text(text) + "</td>"; }

// Two columns, of what a run tells of itself.
std::string table_html(const std::vector<std::pair<std::string, std::string>>& rows) {
  std::string html = "<table>";
  for (const auto& [name, value] : rows) html += "<tr>" + cell(name) + cell(value) + "</tr>";
  return html + "</table>";
}

std::string plain_text(const OrderedJson& value) {
  if (value.is_number_float()) return short_number(value.get<double>());
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string confusion_html(const OrderedJson& matrix) {
  std::string html = "<h3>Confusion matrix</h3><table><tr><th>is \\ said</th>";
  for (std::size_t i = 0; i < matrix.size(); ++i) html += "<th>" + std::to_string(i) + "</th>";
  html += "</tr>";
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    html += "<tr><th>" + std::to_string(i) + "</th>";
    for (const OrderedJson& count : matrix[i]) html += cell(count.dump());
    html += "</tr>";
  }
  return html + "</table>";
}

std::string layers_html(const OrderedJson& layers) {
  std::string html =
      "<h3>Adapted layers</h3><table><tr><th>layer</th><th>update over weight</th></tr>";
  for (const OrderedJson& layer : layers) {
    html += "<tr>" + cell(layer.value("name", "")) +
            cell(short_number(layer.value("update", 0.0))) + "</tr>";
  }
  return html + "</table>";
}

std::string run_html(const ReportedRun& run, int colour) {
  std::string html = "<section><h2><span class='key c" + std::to_string(colour) + "'>" +
                     html_text(run.name) + "</span></h2>";
  if (run.record.empty()) return html + "<p>This run has not ended.</p></section>";
  const OrderedJson record = parse_ordered_json(
      run.record, {.stage = Stage::kAdapter, .message = "run.json", .location = run.name});
  std::vector<std::pair<std::string, std::string>> rows;
  for (const char* key : {"trainable_params", "all_params", "steps", "stopped_early"}) {
    if (record.contains(key)) rows.emplace_back(key, plain_text(record[key]));
  }
  if (record.contains("best") && record["best"].is_object()) {
    rows.emplace_back("best step", plain_text(record["best"]["step"]));
  }
  if (record.contains("step_ms")) {
    rows.emplace_back("median step, ms", plain_text(record["step_ms"]["median"]));
  }
  const OrderedJson after =
      record.contains("eval") ? record["eval"].value("after", OrderedJson()) : OrderedJson();
  for (const auto& [name, value] : after.items()) {
    if (!value.is_array()) rows.emplace_back("evaluation: " + name, plain_text(value));
  }
  const OrderedJson versions = record.value("versions", OrderedJson::object());
  for (const auto& [name, value] : versions.items()) rows.emplace_back(name, plain_text(value));
  html += table_html(rows);
  if (after.is_object() && after.contains("confusion_matrix")) {
    html += confusion_html(after["confusion_matrix"]);
  }
  if (record.contains("layers") && !record["layers"].empty()) html += layers_html(record["layers"]);
  if (record.contains("profile")) {
    html += "<h3>Profile</h3><pre>" + html_text(record["profile"].dump(2)) + "</pre>";
  }
  if (record.contains("config")) {
    html += "<details><summary>Config</summary><pre>" +
            html_text(record["config"].get<std::string>()) + "</pre></details>";
  }
  return html + "</section>";
}

std::optional<double> best_step(const ReportedRun& run) {
  if (run.record.empty()) return std::nullopt;
  const OrderedJson record = OrderedJson::parse(run.record, nullptr, false);
  if (!record.is_object() || !record.contains("best") || !record["best"].is_object()) {
    return std::nullopt;
  }
  return record["best"]["step"].get<double>();
}

// Every curve of the runs, a chart for each name; an evaluation's stands with the training's.
std::vector<Chart> charts_of(const std::vector<ReportedRun>& runs) {
  std::vector<std::string> names = {"loss"};
  std::set<std::string> others;
  for (const ReportedRun& run : runs) {
    for (const auto& [name, points] : run.curves) {
      const bool is_evaluation = name.starts_with("eval_");
      const std::string base = is_evaluation ? name.substr(5) : name;
      if (base != "loss") others.insert(base);
    }
  }
  names.insert(names.end(), others.begin(), others.end());
  std::vector<Chart> charts;
  for (const std::string& name : names) {
    Chart chart;
    chart.title = name;
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const int colour = static_cast<int>(i) % kColours;
      for (const bool is_evaluation : {false, true}) {
        const auto curve = runs[i].curves.find((is_evaluation ? "eval_" : "") + name);
        if (curve == runs[i].curves.end()) continue;
        chart.lines.push_back({.label = runs[i].name + (is_evaluation ? ", evaluation" : ""),
                               .colour = colour,
                               .is_dashed = is_evaluation,
                               .points = curve->second});
      }
    }
    if (runs.size() == 1) chart.marked = best_step(runs[0]);
    charts.push_back(std::move(chart));
  }
  return charts;
}

}  // namespace

ReportedRun read_reported_run(const fs::path& folder) {
  const fs::path log = folder / "log.jsonl";
  std::error_code ignored;
  if (!fs::exists(log, ignored)) {
    throw Error({.stage = Stage::kAdapter,
                 .message = "this is no run's folder: it has no log.jsonl",
                 .hint = "set [output] log_steps, or name the folder of log_dir",
                 .location = folder.string()});
  }
  ReportedRun run;
  run.name = (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  std::stringstream lines(read_text_file(log, Stage::kAdapter));
  for (std::string line; std::getline(lines, line);) {
    const OrderedJson values = OrderedJson::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!values.is_object() || !values.contains("step")) continue;  // cut by a kill
    const double step = values["step"].get<double>();
    for (const auto& [name, value] : values.items()) {
      if (name == "step" || name == "epoch" || !value.is_number()) continue;
      run.curves[name].emplace_back(step, value.get<double>());
    }
  }
  if (fs::exists(folder / "run.json", ignored)) {
    run.record = read_text_file(folder / "run.json", Stage::kAdapter);
  }
  return run;
}

std::string report_page(const std::vector<ReportedRun>& runs) {
  std::string title = "Training";
  for (const ReportedRun& run : runs) title += (title == "Training" ? ": " : ", ") + run.name;
  std::string html =
      "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
      "<meta name='viewport' content='width=device-width, initial-scale=1'>"
      "<title>" +
      html_text(title) + "</title><link rel='icon' href='data:,'><style>" + kStyle +
      "</style></head><body><h1>" + html_text(title) + "</h1><div class='charts'>";
  for (const Chart& chart : charts_of(runs)) html += chart_html(chart);
  html += "</div><div class='runs'>";
  for (std::size_t i = 0; i < runs.size(); ++i) {
    html += run_html(runs[i], static_cast<int>(i) % kColours);
  }
  return html + "</div></body></html>\n";
}

}  // namespace tenon
