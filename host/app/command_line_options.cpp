#include <CLI/CLI.hpp>

#include "app/command_line_verbs.h"

namespace tenon {

void add_output_flags(CLI::App& verb, CommandLine& line) {
  verb.add_flag("--json", line.json, "Print the answer as JSON on standard output");
  verb.add_flag("-q,--quiet", line.quiet, "Log errors only");
  verb.add_flag("-v,--verbose", line.verbose, "Log more");
}

void add_force(CLI::App& verb, CommandLine& line) {
  verb.add_flag("--force", line.force, "Replace the file that is there");
}

void add_no_verify(CLI::App& verb, CommandLine& line) {
  verb.add_flag("--no-verify", line.no_verify,
                "Take the weights of a .pt2 without checking their checksums");
}

void add_common(CLI::App& verb, CommandLine& line) {
  verb.add_option("--set", line.overrides,
                  "Override a config key: section.key=VALUE (TOML, else a string); repeatable")
      ->allow_extra_args(false);
  verb.add_option("--plugin-dir", line.plugin_directories,
                  "A folder of plugins, before all other places; repeatable")
      ->allow_extra_args(false);
  add_output_flags(verb, line);
}

void add_processes(CLI::App& verb, CommandLine& line) {
  constexpr std::int64_t kMost = 4096;
  verb.add_option("--processes", line.processes,
                  "Start this many processes on this machine, which share the rows")
      ->check(CLI::Range(std::int64_t{1}, kMost));
}

CLI::App* add_verb(CLI::App& app, CommandLine& line, const std::string& name,
                   const std::string& description, const std::string& target, bool required) {
  CLI::App* verb = app.add_subcommand(name, description);
  auto* option = verb->add_option("target", line.target, target)->option_text(" ");
  if (required) option->required();
  add_common(*verb, line);
  return verb;
}

}  // namespace tenon
