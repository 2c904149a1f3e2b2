#pragma once

#include <string>

#include "app/command_line.h"

namespace CLI {
class App;
}

// What command_line.cpp puts the verbs together from. Each function adds options to a verb, or
// verbs to the program, which write into `line` when it is parsed.
namespace tenon {

// Options that several verbs have (command_line_options.cpp).
void add_output_flags(CLI::App& verb, CommandLine& line);
void add_force(CLI::App& verb, CommandLine& line);
void add_no_verify(CLI::App& verb, CommandLine& line);
void add_common(CLI::App& verb, CommandLine& line);
void add_processes(CLI::App& verb, CommandLine& line);

// A verb on a config; `target` tells what it is given.
CLI::App* add_verb(CLI::App& app, CommandLine& line, const std::string& name,
                   const std::string& description, const std::string& target, bool required = true);

// `tenon adapter ...`: from adapters to adapters, and what is on a model
// (command_line_adapter.cpp).
void add_adapter_verbs(CLI::App& app, CommandLine& line);
// `tenon plugin ...`: for who uses plugins, and for their authors (command_line_plugin.cpp).
void add_plugin_verbs(CLI::App& app, CommandLine& line);

}  // namespace tenon
