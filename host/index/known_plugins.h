#pragma once

#include <string>

// The line that installs what is missing, where an index that was used before has it. Nothing is
// fetched. "" where none has it, or has it for this machine.
namespace tenon {

std::string line_that_installs(const std::string& plugin_id);
std::string line_that_serves(const std::string& method, const std::string& type);
std::string line_that_offers(const std::string& method);

}  // namespace tenon
