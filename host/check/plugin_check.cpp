#include "check/plugin_check.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "check/child_findings.h"
#include "check/process_facts.h"
#include "plugin/plugin_library.h"

namespace tenon {
namespace fs = std::filesystem;
namespace {

Finding failed(const char* rule, const std::string& detail) {
  return {rule, RuleStatus::kFailed, detail};
}

// Which rule a refusal of load_library breaks.
const char* rule_of(const PluginRefusal& refusal) {
  if (refusal.rule.starts_with("init-"))
    return refusal.rule == "init-throws" ? "no-exceptions" : "init";
  return refusal.rule == "cannot-load" || refusal.rule == "unreadable" ? "loads" : "table";
}

// "torch.nn.Linear", "*.MyScale": names joined by dots; "*" only as a whole first part.
bool is_type_name(const std::string& type) {
  const std::string name = type.starts_with("*.") ? type.substr(2) : type;
  const auto is_part_of_name = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '<' || c == '>';
  };
  return !name.empty() && name.front() != '.' && name.back() != '.' &&
         name.find("..") == std::string::npos &&
         std::all_of(name.begin(), name.end(), is_part_of_name);
}

std::vector<std::string> split(const std::string& list, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(list);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

// What load_library does not refuse, since it harms nothing at once.
std::string find_table_faults(const tenon_plugin& plugin, const tenon_stamp& stamp) {
  if (std::string(plugin.version) != stamp.version) {
    return std::string("its version is ") + plugin.version + " in the table and " + stamp.version +
           " in the stamp";
  }
  if (plugin.min_host_minor != stamp.min_host_minor) {
    return "its min_host_minor differs between table and stamp";
  }
  if (plugin.sdk_version == nullptr || plugin.compiler == nullptr) {
    return "sdk_version and compiler are missing; use TENON_PLUGIN, or set them in C";
  }
  for (std::uint32_t i = 0; i < plugin.n_layer_types; ++i) {
    const tenon_layer_type& type = *plugin.layer_types[i];
    for (const std::string& name : split(type.base_types, ';')) {
      if (!is_type_name(name)) {
        return std::string(type.id) + ": `" + name +
               "` is no type name; write \"torch.nn.Linear\" or "
               "\"*.MyScale\", and `;` between several";
      }
    }
  }
  return "";
}

// In the child: opens the file as the host does, and tells what is in it.
void open_plugin(const ChildChannel& channel, const fs::path& file) {
  channel.step("it was opened and initialised");
  at::set_num_threads(1);
  const std::size_t threads = thread_count();
  const auto result = load_library(file, {});
  if (const auto* refusal = std::get_if<PluginRefusal>(&result)) {
    send_finding(channel, failed(rule_of(*refusal), refusal->reason));
    return;
  }
  const tenon_plugin& plugin = std::get<LoadedLibrary>(result).plugin;
  send_finding(channel, {"loads"});
  tenon_stamp stamp{};
  const MappedFile bytes(file, Stage::kPlugins);
  read_stamp(bytes.bytes(), stamp);
  const std::string fault = find_table_faults(plugin, stamp);
  send_finding(channel, fault.empty() ? Finding{"table"} : failed("table", fault));
  send_finding(channel, {"init"});
  if (thread_count() != threads) {
    send_finding(channel, failed("no-threads", "opening it started a thread"));
  }
  for (std::uint32_t i = 0; i < plugin.n_layer_types; ++i) {
    const tenon_layer_type& type = *plugin.layer_types[i];
    send_record(channel, "layer", {type.id, type.method, type.base_types});
  }
}

// A finding for each rule of the kind that has none yet, so that a report is always whole.
void complete(Findings& findings, bool per_layer, const std::string& reason) {
  for (const Rule& rule : all_rules()) {
    if (rule.per_layer != per_layer) continue;
    if (std::none_of(findings.begin(), findings.end(),
                     [&](const Finding& finding) { return finding.rule == rule.id; })) {
      findings.push_back({rule.id, RuleStatus::kNotTried, reason});
    }
  }
}

void append(Findings& all, Findings more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

CheckReport check_plugin(const fs::path& file, const CheckOptions& options) {
  CheckReport report;
  report.path = fs::absolute(file).lexically_normal();
  {
    const MappedFile bytes(report.path, Stage::kPlugins);
    report.findings = check_file(bytes.bytes(), report.facts);
  }
  bool group_writable = false;
  const auto distrust = check_trust(report.path, group_writable);
  report.findings.push_back(distrust ? failed("trust", distrust->reason) : Finding{"trust"});
  if (report.facts.id.empty()) {
    complete(report.findings, false, "the host would not open the file");
    return report;
  }
  const ChildOutcome opened = run_in_child(
      [&](const ChildChannel& channel) { open_plugin(channel, report.path); }, options.time_limit);
  append(report.findings, findings_of(opened));
  complete(report.findings, false, "the plugin could not be opened");
  return report;
}

}  // namespace tenon
