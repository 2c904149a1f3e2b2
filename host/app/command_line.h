#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "operations/combine_adapters.h"

namespace tenon {

// Of `tenon plugin check`.
struct PluginCheckArguments {
  std::filesystem::path model;
  std::string layer;
  std::string device = "cpu";
  double seconds = 20;
  std::vector<std::string> set;
};

// Of `tenon plugin new`.
struct PluginNewArguments {
  std::string type;                   // of layers to adapt
  std::optional<std::string> method;  // the default one if not given
  std::string model;                  // or a C++ model's name
  std::string loss;                   // or a loss's
  std::string metric;                 // or a metric's
};

// Of `tenon plugin install`, remove, list, update, trust and index.
struct PluginStoreArguments {
  std::string source;              // a file, a folder, the address of an index; of trust: a key
  std::vector<std::string> names;  // of plugins: "acme.fancy", "acme.fancy@1.2.0"
  std::filesystem::path key;       // of index: the file of the key that signs
  std::string index;               // of trust: the address that changed its key
  bool remove = false;             // of trust
};

// Of `tenon adapter combine`.
struct CombineArguments {
  std::vector<std::filesystem::path> folders;
  CombineOptions options;
};

// What the user typed, checked for form only.
struct CommandLine {
  std::string verb;              // "run", "plan", ..., "plugin check"
  std::filesystem::path target;  // a config, or a .pt2 for tree; may be empty for plugins
  std::vector<std::string> overrides;
  std::vector<std::filesystem::path> plugin_directories;
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  bool force = false;
  bool profile = false;                              // of run
  std::optional<std::filesystem::path> resume = {};  // of run: a checkpoint; "" for the newest
  bool load = false;                                 // of plugins
  bool markdown = false;                             // of plugins
  bool no_verify = false;                            // of run, merge, predict
  std::vector<std::string> adapters;                 // [NAME=]DIR
  std::vector<std::string> active;                   // names; empty: all adapters
  std::vector<std::string> adapter_names;  // of each row; empty: what is active runs for all
  std::filesystem::path data;              // of eval: rows, in place of [data] eval
  std::filesystem::path inputs;
  std::filesystem::path outputs;  // a file or folder to write
  PluginCheckArguments plugin_check;
  PluginNewArguments plugin_new;
  PluginStoreArguments plugin_store;
  CombineArguments combine;
  std::string from;         // of adapter convert: whose file it is; "" for PEFT's
  std::string quantize_to;  // of quantize: "int8", "nf4"
  bool requantize = false;  // of merge
  std::string rank;         // of adapter convert: a whole number, or a fraction
  std::vector<std::filesystem::path> reported;  // of report: folders of runs
  std::vector<std::filesystem::path> diff;      // two adapters' folders
  std::int64_t batch_size = 0;                  // of predict; 0: the whole file at once
  std::int64_t processes = 0;                   // of run, eval, predict; 0: this one
};

// nullopt where help or the version was asked for and has been printed. Throws
// Error{kCommandLine}.
std::optional<CommandLine> parse_command_line(int argc, const char* const* argv);

}  // namespace tenon
