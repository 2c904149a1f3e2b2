#pragma once

#include <string>
#include <vector>

#include "install/candidate.h"
#include "plugin/install_record.h"

namespace tenon {

// A plugin to install, and what is noted of it; `record.installed` is filled here.
struct WantedPlugin {
  Candidate candidate;
  InstallRecord record;
};

struct InstallOutcome {
  InstallRecord record;
  std::filesystem::path path;
  std::string replaced = {};  // the version that was there; "" if none was
  bool unchanged = false;     // the same file is there already
};

// Puts them into the user's folder, all of them or none. An older version than the one that is
// there, another file of the same version, and a file that was put there by hand are refused
// without `force`. Throws Error{kPlugins} with all refusals at once, Error{kOutput} where writing
// fails.
std::vector<InstallOutcome> install_plugins(std::vector<WantedPlugin> wanted, bool force);

// Takes plugins out of the user's folder by their ids, all of them or none; what was put there by
// hand only with `force`. Throws Error{kPlugins}.
std::vector<std::filesystem::path> remove_plugins(const std::vector<std::string>& ids, bool force);

std::string time_text();  // now: "2026-01-31T12:00:00Z"

}  // namespace tenon
