#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "config/toml_reader.h"

namespace tenon {
namespace {

using ::testing::UnorderedElementsAreArray;

// The cells of a row; the first is what stands before the table, nothing.
std::vector<std::string> cells_of(const std::string& row) {
  std::vector<std::string> cells;
  std::stringstream stream(row);
  for (std::string cell; std::getline(stream, cell, '|');) {
    const std::size_t first = cell.find_first_not_of(' ');
    const std::size_t last = cell.find_last_not_of(' ');
    cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
  }
  return cells;
}

bool is_code(const std::string& cell) {
  return cell.size() > 2 && cell.front() == '`' && cell.back() == '`';
}

std::string code_in(const std::string& cell) { return cell.substr(1, cell.size() - 2); }

std::string line_of(const ConfigKey& key) {
  return key.name + " | " + key.type + " | " + key.fallback;
}

// "section.key | type | default" of each row "| `key` | type | default | ..." under a heading
// "## [section]". A default in words, outside backquotes, is for people: nothing in the file.
std::vector<std::string> documented_keys() {
  const auto readme = std::filesystem::path(TENON_SOURCE) / "configs/README.md";
  std::stringstream text(read_text_file(readme, Stage::kConfig));
  std::vector<std::string> keys;
  std::string section;
  for (std::string line; std::getline(text, line);) {
    if (line.rfind("#", 0) == 0) {  // below "### " stand the keys of a method
      section = line.rfind("## [", 0) == 0 ? line.substr(4, line.find(']') - 4) : "";
    }
    const std::vector<std::string> cells = cells_of(line);
    if (section.empty() || cells.size() < 4 || !is_code(cells[1])) continue;
    keys.push_back(line_of(
        {section + "." + code_in(cells[1]), cells[2], is_code(cells[3]) ? code_in(cells[3]) : ""}));
  }
  return keys;
}

TEST(ConfigReadme, DescribesEveryKeyWithItsTypeAndDefaultAndNoOther) {
  std::vector<std::string> known;
  for (const ConfigKey& key : config_keys()) known.push_back(line_of(key));
  EXPECT_THAT(documented_keys(), UnorderedElementsAreArray(known));
}

}  // namespace
}  // namespace tenon
