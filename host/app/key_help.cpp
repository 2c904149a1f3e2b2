#include "app/key_help.h"

#include <sstream>
#include <vector>

namespace tenon {
namespace {

// The cells of a row of a table; none for another line.
std::vector<std::string> row_cells(const std::string& line) {
  std::vector<std::string> cells;
  if (!line.starts_with("| ")) return cells;
  std::stringstream stream(line.substr(2));
  for (std::string cell; std::getline(stream, cell, '|');) {
    const std::size_t first = cell.find_first_not_of(' ');
    const std::size_t last = cell.find_last_not_of(' ');
    cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
  }
  return cells;
}

}  // namespace

std::map<std::string, std::string> key_help(std::string_view readme) {
  std::map<std::string, std::string> help;
  std::stringstream text{std::string(readme)};
  std::string section;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("## ")) {
      section = line.starts_with("## [") ? line.substr(4, line.find(']') - 4) : "";
    }
    const std::vector<std::string> cells = row_cells(line);
    if (section.empty() || cells.size() < 4 || !cells[0].starts_with('`')) continue;
    help[section + "." + cells[0].substr(1, cells[0].size() - 2)] = cells[3];
  }
  return help;
}

}  // namespace tenon
