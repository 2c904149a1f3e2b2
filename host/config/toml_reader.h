#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "config/bounds.h"
#include "config/problems.h"
#include "config/run_config.h"

namespace tenon {

// What a verb needs of a config: sections it does not need are neither required nor validated
// beyond being TOML tables of known name.
struct ConfigScope {
  bool model = true;        // [model]: required and validated
  bool adapter = false;     // [adapter]: validated if present
  bool data = false;        // [data]: validated if present
  bool evaluation = false;  // [data] and [train]: validated; [data] required
  bool training = false;    // [data], [train], [output]: validated; [data] and [train] required
  bool settings = false;    // [train]: validated if present
};

// Reads a config file and applies overrides, each "section.key=VALUE" (VALUE is TOML, else a plain
// string; its paths are relative to the working directory, those of the file to its folder). All
// problems are collected and thrown as one Error{Stage::kConfig}: each on a line of its own,
// "file:line:column: what is wrong; did you mean `x`?".
// `further` is asked where there are some, for those that only others can tell (plugins, of the
// keys that they declare), so that the user sees all of them at once.
using FurtherProblems = std::function<void(const RunConfig&, Problems&)>;
RunConfig read_run_config(const std::filesystem::path& file,
                          const std::vector<std::string>& overrides, const ConfigScope& scope,
                          const FurtherProblems& further = {});
// A config that is no file: what it is called in messages, and its text. Of text that a program
// wrote, lines mean nothing to anybody.
struct ConfigText {
  std::string name;
  std::string text;
  bool has_lines = true;
};
// Its paths are relative to the working directory.
RunConfig read_run_config(const ConfigText& text, const ConfigScope& scope);

// One key of the schema, as configs/README.md describes it.
struct ConfigKey {
  std::string name;      // "train.batch_size"; a layer's keys are "model.layers.name", ...
  std::string type;      // "integer"
  std::string fallback;  // the default as TOML; "" where leaving it out means something else
  std::vector<std::string> choices = {};  // of a string; empty: any
  Bounds bounds = {};                     // of a number, and of each in a list of numbers
};

// Every key that read_run_config knows, section by section, taken from the reader itself.
std::vector<ConfigKey> config_keys();

}  // namespace tenon
